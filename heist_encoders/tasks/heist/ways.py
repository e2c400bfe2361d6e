"""The ways to all that an agent may be on its way to, in many levels at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks.forest import Forest

NUM_TARGETS = 7
"""What an agent may be on its way to, in the order of progress: key blue, door blue, key green, ..., exit (last)."""
_TARGETS = np.array([0, 2, 4, 1, 3, 5, 6])
"""Which target each of ``ELEMENTS`` is."""


class Ways:
    """The ways to the targets in a stack of L levels.

    Args:
        tree: the levels' free cells.
        positions: float32 (L, 7, 2), x and y of each element in cells, NaN where a level has none.
    """

    def __init__(self, tree: Forest, positions: NDArray[np.float32]) -> None:
        self._tree = tree
        level, element = np.nonzero(~np.isnan(positions[..., 0]))
        targets = np.zeros(tree.parents.size, np.uint8)
        targets[tree.cells(level, positions[level, element].astype(np.int64))] = 1 << _TARGETS[element]
        self._below = tree.bits_below(targets)

    def directions(
        self, level: NDArray[np.int64], target: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> NDArray[np.int8]:
        """Direction codes (see ``tasks.ways.STEPS``), int8 (N,), from cells towards targets.

        Args:
            level: int64 (N,), index into the stack.
            target: int64 (N,), see ``NUM_TARGETS``; the level must have it.
            cells: int64 (N, 2), x and y.
        """
        return self._tree.directions(self._below, self._tree.cells(level, cells), target)


def target_index(num_keys: NDArray[np.int8], progress: NDArray[np.int8]) -> NDArray[np.int64]:
    """int64 (N,): which of the 7 targets comes next (see ``NUM_TARGETS``). Inputs are int8 (N,)."""
    return np.where(progress >= 2 * num_keys, NUM_TARGETS - 1, progress).astype(np.int64)
