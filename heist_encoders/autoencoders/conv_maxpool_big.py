"""conv_maxpool_big: three strided convolutions and two linear layers to 32 dimensions."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import LatentSize, UpDecoder, Width, Widths3, initialise, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject


class ConvMaxpoolBigParams(Config):
    """Sizes of ``ConvMaxpoolBig``."""

    channels: Widths3 = (16, 32, 64)
    """Of the three convolutions."""
    hidden_size: Width = 100
    """Of the linear layer before the bottleneck."""
    latent_size: LatentSize = 32
    bottleneck_activation: Literal["relu", "none"] = "relu"
    """``relu`` as the original had it: encodings are >= 0, and a unit can die. ``none`` keeps every unit alive."""
    decoder_channels: Widths3 = (64, 32, 16)
    """Of the decoder at 8x8, 16x16 and 32x32."""


@register_autoencoder(name="conv_maxpool_big")
class ConvMaxpoolBig(BaseAutoencoder):
    """conv 3x3/2, conv 3x3/2, conv 7x7, linear, linear; ReLU each. Encoding: (latent_size,)."""

    Params = ConvMaxpoolBigParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 3e-3, "schedule": "cosine"}
    params: ConvMaxpoolBigParams

    def __init__(self, params: ConvMaxpoolBigParams) -> None:
        super().__init__(params)
        first, second, third = params.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1),  # -> (B, c0, 32, 32)
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, stride=2, padding=1),  # -> (B, c1, 16, 16)
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, 7),  # -> (B, c2, 10, 10)
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(third * 10 * 10, params.hidden_size),
            nn.ReLU(inplace=True),
            nn.Linear(params.hidden_size, params.latent_size),
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
