"""grid: an encoding aligned to the world's cells, this package's own architecture."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.layers import Widths3, initialise, initialise_colours
from heist_encoders.autoencoders.registry import register_autoencoder
from heist_encoders.config import Config
from heist_encoders.constants import FRAME_SIZE
from heist_encoders.json_text import JsonObject

_CELL = 8
"""Pixels of a cell's side after the frame is resized: three convolutions of stride 2 make one column of it."""
_MOST_LATENT = 1_200
"""Latent dimension at most, unless the channels are given."""
_MOST_CHANNELS = 16
_CELLS_UNKNOWN = 8
"""Cells along each side where nothing says how many are in view."""


class GridParams(Config):
    """Sizes of ``Grid``."""

    cells: Annotated[int, Field(ge=2, le=32)] | None = None
    """Cells in view along each side of the frame; None: those of the dataset that it is trained on."""
    latent_channels: Annotated[int, Field(ge=1, le=256)] | None = None
    """Channels of the encoding; None: as many as fit into 1,200 dimensions, at most 16."""
    channels: Widths3 = (16, 32, 48)
    """Of the three convolutions of stride 2; the decoder mirrors them."""


@register_autoencoder(name="grid")
class Grid(BaseAutoencoder):
    """One column of channels for each cell of the world in view. Encoding: (latent_channels, cells, cells).

    The frame is resized so that a cell is 8 pixels wide; three 4x4 convolutions of stride 2, one 3x3 and one 1x1
    follow, and tanh, so that an encoding is in [-1, 1]. The decoder mirrors them.
    """

    Params = GridParams
    default_training: ClassVar[JsonObject] = {"batch_size": 32, "learning_rate": 2e-3, "schedule": "cosine"}
    params: GridParams

    def __init__(self, params: GridParams) -> None:
        super().__init__(params)
        self.cells = params.cells or _CELLS_UNKNOWN
        latent = _latent_channels(params)
        first, second, third = params.channels
        self.encoder = nn.Sequential(
            *_down(3, first),
            *_down(first, second),
            *_down(second, third),
            nn.Conv2d(third, third, 3, padding=1, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(inplace=True),
            nn.Conv2d(third, latent, 1),
            nn.Tanh(),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, third, 3, padding=1, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(inplace=True),
            *_up(third, second),
            *_up(second, first),
            nn.ConvTranspose2d(first, 3, 4, stride=2, padding=1),
        )
        initialise(self)
        initialise_colours(self.encoder)

    @classmethod
    def params_for(cls, params: JsonObject, cells_in_view: int | None) -> JsonObject:
        """Cells and channels that were left open, from the cells in view."""
        filled = GridParams.from_dict({**params, "cells": params.get("cells") or cells_in_view or _CELLS_UNKNOWN})
        return {**filled.to_dict(), "latent_channels": _latent_channels(filled)}

    def _resize(self, images: Tensor, side: int) -> Tensor:
        if images.shape[-1] == side:
            return images
        return functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)

    def encode(self, frames: Tensor) -> Tensor:
        encoding: Tensor = self.encoder(self._resize(frames, _CELL * self.cells))
        return encoding.float().contiguous()

    def forward(self, frames: Tensor) -> Output:
        encoding = self.encode(frames)  # (B, latent, cells, cells)
        latent = encoding.contiguous(memory_format=torch.channels_last)
        image = torch.sigmoid(self.decoder(latent))  # (B, 3, 8 * cells, 8 * cells)
        return Output(self._resize(image, FRAME_SIZE), encoding)


def _latent_channels(params: GridParams) -> int:
    cells = params.cells or _CELLS_UNKNOWN
    return params.latent_channels or max(1, min(_MOST_CHANNELS, _MOST_LATENT // cells**2))


def _down(before: int, after: int) -> list[nn.Module]:
    """Halve a map: float (B, before, H, W) -> (B, after, H / 2, W / 2)."""
    return [
        nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    ]


def _up(before: int, after: int) -> list[nn.Module]:
    """Double a map: float (B, before, H, W) -> (B, after, 2 H, 2 W)."""
    return [
        nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    ]
