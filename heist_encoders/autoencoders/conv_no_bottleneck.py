"""conv_no_bottleneck: four convolutions down to 128 channels of one pixel, no linear layer in the encoder."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import UpDecoder, Widths3, Widths4, initialise, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject


class ConvNoBottleneckParams(Config):
    """Sizes of ``ConvNoBottleneck``."""

    channels: Widths4 = (16, 32, 64, 128)
    """Of the four convolutions; the last is the size of the encoding."""
    decoder_channels: Widths3 = (64, 32, 16)
    """Of the decoder at 8x8, 16x16 and 32x32."""


@register_autoencoder(name="conv_no_bottleneck")
class ConvNoBottleneck(BaseAutoencoder):
    """conv 3x3, pool 2, conv 3x3, pool 2, conv 7x7/2, conv 3x3/2. Encoding: (channels[-1], 1, 1).

    The last convolution is dilated by 2, so that its one 3x3 window spans the whole 5x5 map. Undilated and without
    padding, the same kernels also end in one pixel, but that pixel sees only the upper left 50x50 pixels of a frame.
    """

    Params = ConvNoBottleneckParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 3e-3, "schedule": "cosine"}
    params: ConvNoBottleneckParams

    def __init__(self, params: ConvNoBottleneckParams) -> None:
        super().__init__(params)
        first, second, third, fourth = params.channels
        self.encoder = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1),
            nn.MaxPool2d(2),  # -> (B, c0, 32, 32); before the ReLU, which gives the same and touches a quarter
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 3, padding=1),
            nn.MaxPool2d(2),  # -> (B, c1, 16, 16)
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, 7, stride=2),  # -> (B, c2, 5, 5)
            nn.ReLU(inplace=True),
            nn.Conv2d(third, fourth, 3, stride=2, dilation=2),  # -> (B, c3, 1, 1)
        )
        initialise(self.encoder)
        initialise_colours(self.encoder)
        self.decoder = UpDecoder(fourth, params.decoder_channels)

    def encode(self, frames: Tensor) -> Tensor:
        encoding: Tensor = self.encoder(frames)
        return encoding.float().contiguous()

    def forward(self, frames: Tensor) -> Output:
        encoding = self.encoder(frames)  # (B, c3, 1, 1)
        return Output(self.decoder(encoding.flatten(1)), encoding.float().contiguous())
