"""Reads a semantic map from an encoding: what the probe and the semantic map loss train."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from heist_encoders.semantic import MAP_SIDE

_LIFTED = (32, 8)
"""Channels and side of the grid that a flat encoding is lifted to."""


class SemanticDecoder(nn.Module):
    """Encodings float (B, *shape) -> logits float32 (B, classes, side, side).

    Weights are shared over positions, so a class that is rare at each single place is still learned from all places.
    Two 3x3 convolutions on the encoding's own grid; each block of the map takes the column of channels in which its
    middle lies together with where in it (its offset, in [-1, 1]), and two 1x1 convolutions name its class (a local
    implicit function, Chen et al. 2021, "Learning Continuous Image Representation with LIIF"). The offset matters where
    cells of the encoding and blocks of the map do not coincide, and near their edges. Flat encodings are lifted to a
    grid of 32x8x8 by a linear layer; grids finer than the map are folded into channels.

    Args:
        shape: of one encoding: (D,), or (C, H, W).
        num_classes: number of classes.
        side: blocks along each side of the map.
        width: channels inside.
    """

    offsets: Tensor
    rows: Tensor

    def __init__(self, shape: tuple[int, ...], num_classes: int, *, side: int = MAP_SIDE, width: int = 48) -> None:
        super().__init__()
        self.lift: nn.Module = nn.Identity()
        if len(shape) != 3 or shape[1] * shape[2] == 1:
            channels, grid = _LIFTED
            self.lift = nn.Sequential(
                nn.Flatten(), nn.Linear(math.prod(shape), channels * grid**2), nn.Unflatten(1, (channels, grid, grid))
            )
            shape = (channels, grid, grid)
        elif shape[1] > side and shape[1] % side == 0:
            fold = shape[1] // side
            self.lift = nn.PixelUnshuffle(fold)
            shape = (shape[0] * fold**2, side, side)
        self.context = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.classify = nn.Sequential(
            nn.Conv2d(width + 4, width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, num_classes, 1)
        )
        middle = (torch.arange(side) + 0.5) * shape[1] / side  # of each block, in cells of the encoding
        cell = middle.floor()
        inside = 2 * (middle - cell) - 1
        edge = torch.cos(math.pi * inside)
        self.register_buffer("rows", cell.long(), persistent=False)
        by_line = torch.stack([inside, edge])[:, :, None].expand(2, side, side)
        self.register_buffer("offsets", torch.cat([by_line, by_line.transpose(1, 2)])[None], persistent=False)

    def forward(self, encodings: Tensor) -> Tensor:
        grid = self.lift(encodings).contiguous(memory_format=torch.channels_last)
        context = self.context(grid)
        sampled = context[:, :, self.rows][:, :, :, self.rows]  # (B, width, side, side)
        blocks = torch.cat([sampled, self.offsets.expand(len(sampled), -1, -1, -1)], 1)
        logits: Tensor = self.classify(blocks.contiguous(memory_format=torch.channels_last))
        return logits.float()
