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
        cells = tree.cells(level, positions[level, element].astype(np.int64))
        targets = np.zeros(tree.parents.size, np.uint8)
        targets[cells] = 1 << _TARGETS[element]
        self._below = tree.bits_below(targets)
        self._cells = np.zeros((len(positions), NUM_TARGETS), np.int64)
        self._cells[level, _TARGETS[element]] = cells

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

    def path_lengths(self, num_keys: NDArray[np.int8], gates: NDArray[np.int8]) -> NDArray[np.int16]:
        """Steps from cell to cell of a shortest path to the exit, by way of all keys and doors that are left.

        Args:
            num_keys: int8 (L,), keys in each level.
            gates: int8 (L, size, size), the progress from which on each cell can be reached.

        Returns:
            int16 (L, P, size, size) at each progress 0 to P - 1 (P = 2 * most keys + 1); -1 where the agent can't be.
        """
        away = self._tree.distances(self._below, self._cells)  # (flat cells, 7)
        count, last = np.arange(len(num_keys)), 2 * num_keys.astype(np.int64)
        rest = np.zeros((len(num_keys), NUM_TARGETS), np.int16)  # from each target on
        for target in range(NUM_TARGETS - 2, -1, -1):
            following = np.where(target + 1 < last, target + 1, NUM_TARGETS - 1)
            onward = rest[count, following] + away[self._cells[:, target], following]
            rest[:, target] = np.where(target < last, onward, 0)
        world = np.stack([self._tree.unflatten(away[:, target]) for target in range(NUM_TARGETS)])
        lengths = np.empty((len(num_keys), int(last.max()) + 1, *gates.shape[1:]), np.int16)
        for progress in range(lengths.shape[1]):
            target_now = np.where(progress < last, progress, NUM_TARGETS - 1)
            can_be = (gates <= progress) & (progress <= last)[:, None, None]
            there = world[target_now, count] + rest[count, target_now][:, None, None]
            lengths[:, progress] = np.where(can_be, there, -1)
        return lengths


def target_index(num_keys: NDArray[np.int8], progress: NDArray[np.int8]) -> NDArray[np.int64]:
    """int64 (N,): which of the 7 targets comes next (see ``NUM_TARGETS``). Inputs are int8 (N,)."""
    return np.where(progress >= 2 * num_keys, NUM_TARGETS - 1, progress).astype(np.int64)
