"""conv_maxpool: two convolutions with max pooling and a linear layer to 32 dimensions."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import LatentSize, UpDecoder, Widths2, Widths3, initialise, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject


class ConvMaxpoolParams(Config):
    """Sizes of ``ConvMaxpool``."""

    channels: Widths2 = (16, 4)
    """Of the two convolutions."""
    latent_size: LatentSize = 32
    bottleneck_activation: Literal["relu", "none"] = "relu"
    """``relu`` as the original had it: encodings are >= 0, and a unit can die. ``none`` keeps every unit alive."""
    decoder_channels: Widths3 = (64, 32, 16)
    """Of the decoder at 8x8, 16x16 and 32x32."""


@register_autoencoder(name="conv_maxpool")
class ConvMaxpool(BaseAutoencoder):
    """conv 3x3, pool 2, conv 3x3, pool 2, linear; ReLU each. Encoding: (latent_size,)."""

    Params = ConvMaxpoolParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 3e-3, "schedule": "cosine"}
    params: ConvMaxpoolParams

    def __init__(self, params: ConvMaxpoolParams) -> None:
        super().__init__(params)
        first, second = params.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1),
            nn.MaxPool2d(2),  # -> (B, c0, 32, 32); before the ReLU, which gives the same and touches a quarter
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1),
            nn.MaxPool2d(2),  # -> (B, c1, 16, 16)
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(second * 16 * 16, params.latent_size),
            nn.ReLU() if params.bottleneck_activation == "relu" else nn.Identity(),
        )
        initialise(self.encoder)
        initialise_colours(self.encoder)
        self.decoder = UpDecoder(params.latent_size, params.decoder_channels)

    def encode(self, frames: Tensor) -> Tensor:
        encoding: Tensor = self.encoder(frames)
        return encoding.float()

    def forward(self, frames: Tensor) -> Output:
        encoding = self.encoder(frames)
        return Output(self.decoder(encoding), encoding.float())
