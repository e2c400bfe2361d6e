"""Semantic maps in general: how a map of pixels becomes a coarser one. What a map of a game is, its task says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SIZE

if TYPE_CHECKING:
    from torch import Tensor

NUM_BACKGROUND: Final = 2
"""The first two classes of every task's maps are its background: floor and wall."""
MAP_SIDE: Final = 16
"""Blocks along each side of the map that probes read and the semantic map loss asks for."""
UNKNOWN: Final = 255
"""Marks blocks of a coarse map that neither teach nor count: the rim of an object."""
_OBJECT_SHARE = 0.25


class SemanticMaps(Protocol):
    """Maps of the frames of a split or a batch; ``len()`` counts them."""

    classes: tuple[str, ...]
    """Name of each class number."""

    def __len__(self) -> int: ...

    def pick(self, rows: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """uint8 (B, 64, 64), ``[frame, y, x]``: the class of each pixel."""
        ...


def coarsen(maps: NDArray[np.uint8], num_classes: int, side: int = MAP_SIDE) -> NDArray[np.uint8]:
    """Maps of pixels as maps of square blocks.

    A block has the class of the object (any class but floor and wall) with the most pixels in it if objects cover at
    least a quarter of it; it is unknown if they cover less, but something of it (whether a key of 5 x 3 pixels covers
    3 or 4 of 16 is no question about an encoding); else it is floor or wall, whichever has more. Among equals the lower
    number.

    Args:
        maps: uint8 (B, 64, 64), below ``num_classes``.
        num_classes: number of classes.
        side: blocks along each side, a divisor of 64.

    Returns:
        uint8 (B, side, side), classes or ``UNKNOWN``.
    """
    import torch

    return coarse_maps(torch.from_numpy(maps), num_classes, side).to(torch.uint8).numpy()


def coarse_maps(maps: Tensor, num_classes: int, side: int = MAP_SIDE) -> Tensor:
    """``coarsen`` of a tensor, on its device: uint8 (B, 64, 64) -> int64 (B, side, side)."""
    import torch

    batch, block = len(maps), FRAME_SIZE // side
    # (B, side, block, side, block) -> (B * side * side, block * block)
    blocks = maps.reshape(batch, side, block, side, block).transpose(2, 3).reshape(-1, block * block).long()
    one = torch.ones((), dtype=torch.int32, device=maps.device).expand_as(blocks)
    counts = one.new_zeros(len(blocks), num_classes).scatter_add_(1, blocks, one)
    classes, objects = counts[:, :NUM_BACKGROUND].argmax(1), counts[:, NUM_BACKGROUND:]
    if objects.shape[1]:
        covered = objects.sum(1)
        classes = torch.where(covered > 0, UNKNOWN, classes)
        classes = torch.where(covered >= _OBJECT_SHARE * block * block, objects.argmax(1) + NUM_BACKGROUND, classes)
    return classes.reshape(batch, side, side)
