"""Blocks that several architectures share."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn import functional


def _to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Width = Annotated[int, Field(ge=1, le=1024)]
"""Number of channels or units of one layer."""
LatentSize = Annotated[int, Field(ge=1, le=4096)]
"""Numbers in an encoding."""
Widths2 = Annotated[tuple[Width, Width], BeforeValidator(_to_tuple)]
Widths3 = Annotated[tuple[Width, Width, Width], BeforeValidator(_to_tuple)]
Widths4 = Annotated[tuple[Width, Width, Width, Width], BeforeValidator(_to_tuple)]
"""Channels of successive layers; YAML lists will do."""


def initialise(module: nn.Module) -> None:
    """He's initialisation (He et al. 2015) of every convolution and linear layer below a module, zero biases.

    torch's own start shrinks a signal by 2.4 at each layer; without batch normalisation the encodings of different
    frames are then so alike that training rests for thousands of steps on the mean frame.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.ConvTranspose2d):
            # Each output pixel is reached by kernel / stride of the taps along each axis.
            taps = layer.kernel_size[0] * layer.kernel_size[1] / (layer.stride[0] * layer.stride[1])
            nn.init.normal_(layer.weight, std=(2.0 / (layer.in_channels * taps)) ** 0.5)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


_OPPONENT = ((0.9, 0.9, 0.9), (5.0, -5.0, 0.0), (-2.5, -2.5, 5.0))
"""Rows: brightness, red against green, blue against yellow, each scaled to about unit variance over Heist's frames."""
_MEAN = 0.48
"""The mean of all channels over Heist's frames, in [0, 1]."""


def initialise_colours(encoder: nn.Module) -> None:
    """Turn the fresh weights of an encoder's first convolution into weights that weigh opponent colours alike.

    Walls and floor are grey and make nearly all of a frame's variance; keys, doors and the exit are coloured. With
    equal weights for red, green and blue the first features show walls, and it takes long to leave that start.
    """
    first = next(layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
    with torch.no_grad():
        to_rgb = torch.tensor(_OPPONENT)
        first.weight.copy_(torch.einsum("oihw,ic->ochw", first.weight, to_rgb))
        if first.bias is not None:
            first.bias.sub_(_MEAN * first.weight.sum((1, 2, 3)))


class PixelToMap(nn.ConvTranspose2d):
    """A transposed convolution of a map of one pixel: float (B, C, 1, 1) -> float (B, C', k, k).

    Equal to ``nn.ConvTranspose2d`` without padding, computed as the matrix product that it is (20 times faster on
    a CPU).
    """

    def forward(self, pixel: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Raises nothing: ``output_size`` is fixed by the kernel."""
        height, width = self.kernel_size
        # Weight (C, C', k, k) -> (k * k * C', C), so that the product lies in memory as (B, k, k, C'): channels_last.
        weight = self.weight.permute(2, 3, 1, 0).flatten(0, 2)
        product = functional.linear(pixel.flatten(1), weight)
        image = product.view(-1, height, width, self.out_channels).permute(0, 3, 1, 2)
        return image if self.bias is None else image + self.bias.view(1, -1, 1, 1)


class UpDecoder(nn.Module):
    """Encoding -> image: a linear layer to (channels[0], 8, 8), then three transposed convolutions that double.

    Input float (B, latent), output float (B, 3, 64, 64) in [0, 1].
    """

    def __init__(self, latent: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.channels = channels[0]
        self.expand = nn.Linear(latent, channels[0] * 64)
        self.up = nn.Sequential(
            nn.ConvTranspose2d(channels[0], channels[1], 4, stride=2, padding=1, bias=False),  # -> (B, c1, 16, 16)
            nn.BatchNorm2d(channels[1]),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels[1], channels[2], 4, stride=2, padding=1, bias=False),  # -> (B, c2, 32, 32)
            nn.BatchNorm2d(channels[2]),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels[2], 3, 4, stride=2, padding=1),  # -> (B, 3, 64, 64)
        )
        initialise(self)

    def forward(self, encoding: Tensor) -> Tensor:
        hidden = torch.relu(self.expand(encoding))  # (B, c0 * 8 * 8), in memory as (8, 8, c0): channels_last
        hidden = hidden.view(-1, 8, 8, self.channels).permute(0, 3, 1, 2)
        image: Tensor = torch.sigmoid(self.up(hidden))
        return image
