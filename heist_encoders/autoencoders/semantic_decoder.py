"""Reads a semantic map from an encoding: what the probe and the semantic map loss train."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from heist_encoders.semantic import MAP_SIDE

_LIFTED = (32, 8)
"""Channels and side of the grid that a flat encoding is lifted to."""
_HARMONICS = 3
"""Frequencies in which a place between cells is told: with one alone the rims of things in a cell are blurred."""


class SemanticDecoder(nn.Module):
    """Encodings float (B, *shape) -> logits float32 (B, classes, side, side).

    The same two-layer perceptron names the class of every block of the map from the four columns of channels around the
    block's middle and where between them it lies: a local implicit function (Chen et al. 2021, "Learning Continuous
    Image Representation with LIIF"). Its weights are shared over places, so a class that is rare at each single place
    is still learned from all places, and it looks no further than the next cells: what is far away it cannot guess, and
    what an encoder has only mixed up it has little depth to unmix. Flat encodings are lifted to a grid of 32x8x8 by a
    linear layer; grids finer than the map are folded into channels.

    Args:
        shape: of one encoding: (D,), or (C, H, W).
        num_classes: number of classes.
        side: blocks along each side of the map.
        width: units of the first layer; the second has half of them.
    """

    offsets: Tensor
    before: Tensor
    after: Tensor

    def __init__(self, shape: tuple[int, ...], num_classes: int, *, side: int = MAP_SIDE, width: int = 96) -> None:
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
        middle = (torch.arange(side) + 0.5) * shape[1] / side - 0.5  # of each block, counted in middles of cells
        cell = middle.floor()
        self.register_buffer("before", cell.long().clamp(0, shape[1] - 1), persistent=False)
        self.register_buffer("after", (cell.long() + 1).clamp(0, shape[1] - 1), persistent=False)
        between = 2 * (middle - cell) - 1
        turns = math.pi * between * torch.arange(1, _HARMONICS + 1)[:, None]
        features = torch.cat([between[None], turns.cos(), turns.sin()])
        by_line = features[:, :, None].expand(-1, side, side)
        self.register_buffer("offsets", torch.cat([by_line, by_line.transpose(1, 2)])[None], persistent=False)
        self.classify = nn.Sequential(
            nn.Conv2d(4 * shape[0] + self.offsets.shape[1], width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width // 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, num_classes, 1),
        )

    def forward(self, encodings: Tensor) -> Tensor:
        grid = self.lift(encodings)  # (B, C, H, W)
        lines = (grid[:, :, self.before], grid[:, :, self.after])  # (B, C, side, W) each
        around = [line[:, :, :, columns] for line in lines for columns in (self.before, self.after)]
        blocks = torch.cat([*around, self.offsets.expand(len(grid), -1, -1, -1)], 1)
        logits: Tensor = self.classify(blocks.contiguous(memory_format=torch.channels_last))
        return logits.float()
