"""compact: feature points and a few dimensions of context, an architecture of this package's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import Width, Widths3, initialise, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.json_text import JsonObject

_GRID = 16
"""Cells of the feature maps along each side."""
_CONTEXT_CHANNELS = 8
"""Of the map that the decoder makes of the context."""


class CompactParams(Config):
    """Sizes of ``Compact``. The encoding has 3 * points + context dimensions."""

    channels: Widths3 = (16, 32, 32)
    """Of the encoder's three convolutions."""
    points: Width = 9
    """Feature points, three dimensions each."""
    context: Width = 37
    """Numbers for what has no single place, such as the walls."""
    sharpness: Annotated[float, Field(gt=0, le=100)] = 4.0
    """Factor on the initial weights of the heat maps. Small ones give points that start, and stay, in the middle."""
    decoder_channels: Widths3 = (64, 64, 32)
    """Of the decoder, two layers at 16x16 and one at 32x32."""


@register_autoencoder(name="compact")
class Compact(BaseAutoencoder):
    """Feature points: where something is, and how surely. Encoding: (3 * points + context,).

    Each heat map becomes a point by a spatial softmax (Finn et al. 2016, "Deep Spatial Autoencoders for Visuomotor
    Learning"): its presence p in [0, 1], and p * x, p * y with x and y in [-1, 1], so that a point that isn't there
    says nothing about a place. The decoder paints each point as a Gaussian blob into a 16x16 map (Jakab et al. 2018)
    and draws the frame from the blobs and the context.
    """

    Params = CompactParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 2e-3, "schedule": "cosine"}
    params: CompactParams
    axis: Tensor

    def __init__(self, params: CompactParams) -> None:
        super().__init__(params)
        first, second, third = params.channels
        self.features = nn.Sequential(
            nn.Conv2d(3, first, 4, stride=2, padding=1, bias=False),  # -> (B, c0, 32, 32)
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 4, stride=2, padding=1, bias=False),  # -> (B, c1, 16, 16)
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, 3, padding=1, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(inplace=True),
        )
        self.heat = nn.Conv2d(third, params.points, 3, padding=1)
        self.squeeze = nn.Conv2d(third, 4, 1)
        self.context = nn.Linear(4 * _GRID**2, params.context)
        self.expand = nn.Linear(params.context, _CONTEXT_CHANNELS * 8 * 8)
        at16, also16, at32 = params.decoder_channels
        self.decoder = nn.Sequential(
            nn.Conv2d(params.points + _CONTEXT_CHANNELS, at16, 3, padding=1, bias=False),
            nn.BatchNorm2d(at16),
            nn.ReLU(inplace=True),
            nn.Conv2d(at16, also16, 3, padding=1, bias=False),
            nn.BatchNorm2d(also16),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(also16, at32, 4, stride=2, padding=1, bias=False),  # -> (B, d2, 32, 32)
            nn.BatchNorm2d(at32),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(at32, 3, 4, stride=2, padding=1),  # -> (B, 3, 64, 64)
        )
        initialise(self)
        initialise_colours(self.features)
        with torch.no_grad():
            self.heat.weight.mul_(params.sharpness)
        self.register_buffer("axis", (torch.arange(_GRID) + 0.5) * 2 / _GRID - 1, persistent=False)

    def encode(self, frames: Tensor) -> Tensor:
        features = self.features(frames)
        heat = self.heat(features).float().flatten(2)  # (B, points, 16 * 16)
        where = heat.softmax(2)
        by_column = where.unflatten(2, (_GRID, _GRID))
        x = (by_column.sum(2) * self.axis).sum(2)  # (B, points)
        y = (by_column.sum(3) * self.axis).sum(2)
        presence = ((where * heat).sum(2) - 2.0).sigmoid()
        context = self.context(self.squeeze(features).flatten(1)).float()
        return torch.cat([presence, presence * x, presence * y, context], 1)

    def blobs(self, encoding: Tensor) -> Tensor:
        """The points, painted: float (B, 3 * points + context) -> float (B, points, 16, 16), each cell in [0, 1]."""
        points = self.params.points
        presence, x, y, _ = encoding.tensor_split([points, 2 * points, 3 * points], 1)
        rows, columns = (_bell(place / (presence + 1e-3), self.axis) for place in (y, x))  # each (B, points, 16)
        return presence[:, :, None, None] * rows[:, :, :, None] * columns[:, :, None, :]

    def forward(self, frames: Tensor) -> Output:
        encoding = self.encode(frames)
        around = self.expand(encoding[:, 3 * self.params.points :]).view(-1, _CONTEXT_CHANNELS, 8, 8)
        scene = torch.cat([self.blobs(encoding), functional.interpolate(around.float(), scale_factor=2.0)], 1)
        image = torch.sigmoid(self.decoder(scene.contiguous(memory_format=torch.channels_last)))
        return Output(image, encoding)


def _bell(place: Tensor, axis: Tensor) -> Tensor:
    """Gaussians with a standard deviation of one cell around places in [-1, 1]: float (B, K) -> float (B, K, 16)."""
    cells = (place[:, :, None] - axis) * (_GRID / 2)
    return (-0.5 * cells.square()).exp()
