"""conv_unpool: SegNet-like; the decoder is given the places of the maxima that the encoder pooled."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import Widths3, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject


class ConvUnpoolParams(Config):
    """Sizes of ``ConvUnpool``."""

    channels: Widths3 = (16, 16, 32)
    """Of the three blocks; the encoding is (channels[-1], 6, 6)."""


def _block(channels_in: int, channels_out: int, channels_between: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_between, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_between),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_between, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def unpool(values: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Put pooled values back where they came from, zeros elsewhere (Badrinarayanan et al. 2017).

    Windows of 4 with stride 2 overlap, so one place can get several values: they are added, which has the right
    gradient and does not depend on an order of writing.

    Args:
        values: float (B, C, h, w).
        indices: int64 (B, C, h, w) into the flattened (H, W) map, as max pooling returns them.
        size: (H, W).

    Returns:
        float (B, C, H, W).
    """
    batch, channels, _, _ = values.shape
    # (B, C, h, w) -> (B, h * w, C): no byte moves, convolutions leave their results in channels_last.
    places = indices.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    pooled = values.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    empty = values.new_zeros(batch, size[0] * size[1], channels)
    unpooled = empty.scatter_add_(1, places, pooled)
    return unpooled.view(batch, size[0], size[1], channels).permute(0, 3, 1, 2)


@register_autoencoder(name="conv_unpool")
class ConvUnpool(BaseAutoencoder):
    """Three blocks of two conv 3x3 + BN + ReLU, each with a max pool 4x4/2. Encoding: (channels[-1], 6, 6).

    The reconstruction is drawn with the pooling indices, so it says nothing about the encoding: evaluate it by probes.
    """

    Params = ConvUnpoolParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 3e-3, "schedule": "cosine"}
    note = "its decoder is also given the pooling indices"
    decoder_sees_more = True
    params: ConvUnpoolParams

    def __init__(self, params: ConvUnpoolParams) -> None:
        super().__init__(params)
        first, second, third = params.channels
        self.down = nn.ModuleList(
            [_block(3, first, first), _block(first, second, second), _block(second, third, third)]
        )
        initialise_colours(self.down)
        self.up = nn.ModuleList([_block(third, second, third), _block(second, first, second)])
        self.last = nn.Sequential(
            nn.Conv2d(first, first, 3, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, 3, 3, padding=1),
        )

    def encode(self, frames: Tensor) -> Tensor:
        hidden = frames
        for block in self.down:
            hidden = functional.max_pool2d(block(hidden), 4, 2)  # 64 -> 31 -> 14 -> 6
        return hidden.float().contiguous()

    def forward(self, frames: Tensor) -> Output:
        hidden = frames
        places: list[tuple[Tensor, tuple[int, int]]] = []
        for block in self.down:
            hidden = block(hidden)
            size = (hidden.shape[2], hidden.shape[3])
            hidden, indices = functional.max_pool2d(hidden, 4, 2, return_indices=True)
            places.append((indices, size))
        encoding = hidden  # (B, c2, 6, 6)
        for block in self.up:
            indices, size = places.pop()
            hidden = block(unpool(hidden, indices, size))  # 6 -> 14 -> 31
        indices, size = places.pop()
        image = torch.sigmoid(self.last(unpool(hidden, indices, size)))  # (B, 3, 64, 64)
        return Output(image, encoding.float().contiguous())
