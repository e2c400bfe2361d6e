"""Semantic maps in general: how a map of pixels becomes a coarser one. What a map of a game is, its task says."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SIZE

NUM_BACKGROUND: Final = 2
"""The first two classes of every task's maps are its background: floor and wall."""
MAP_SIDE: Final = 16
"""Blocks along each side of the map that probes read and the semantic map loss asks for."""
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
    least a quarter of it, else floor or wall, whichever has more of the rest; among equals the lower number.

    Args:
        maps: uint8 (B, 64, 64), below ``num_classes``.
        num_classes: number of classes.
        side: blocks along each side, a divisor of 64.

    Returns:
        uint8 (B, side, side).
    """
    batch, block = len(maps), FRAME_SIZE // side
    # (B, side, block, side, block) -> (B * side * side, block * block)
    blocks = maps.reshape(batch, side, block, side, block).swapaxes(2, 3).reshape(-1, block * block)
    index = np.arange(len(blocks))[:, None] * num_classes + blocks
    counts = np.bincount(index.ravel(), minlength=len(blocks) * num_classes).reshape(-1, num_classes)
    objects = counts[:, NUM_BACKGROUND:]
    background = counts[:, :NUM_BACKGROUND].argmax(1)
    if not objects.shape[1]:
        return np.asarray(background, np.uint8).reshape(batch, side, side)
    shown = objects.sum(1) >= _OBJECT_SHARE * block * block
    classes = np.where(shown, objects.argmax(1) + NUM_BACKGROUND, background)
    return np.asarray(classes, np.uint8).reshape(batch, side, side)
