"""Breadth-first search in many mazes at once, and what follows from the way to each cell."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Kind = TypeVar("_Kind", bound=np.generic)
_CODES = np.array([1, 2, 3, 4], dtype=np.int8)
"""Direction codes right, left, up, down: see ``ways.STEPS``."""
_BACK = np.array([2, 1, 4, 3], dtype=np.int8)


class Forest:
    """The free cells of a stack of mazes, each a tree with its root at the agent's first cell.

    Cells are flat indices into (L, size + 2, size + 2), the worlds with a margin of walls.

    Args:
        free: bool (L, size, size).
        roots: int64 (L, 2), x and y.

    Attributes:
        layers: by distance from the roots, from 1: cells and their parents, int64 (C,) each.
        parents: int64, flat; its own for roots and walls.
        depths: int64, flat, distance from the root.
        to_parent: int8, flat, direction code towards the root; 0 for roots and walls.
    """

    def __init__(self, free: NDArray[np.bool_], roots: NDArray[np.int64]) -> None:
        self.stride = free.shape[1] + 2
        unseen = np.pad(free, ((0, 0), (1, 1), (1, 1))).ravel()
        self.roots = self.cells(np.arange(len(free)), roots)
        self.parents = np.arange(unseen.size)
        self.depths = np.zeros(unseen.size, np.int64)
        self.to_parent = np.zeros(unseen.size, np.int8)
        self.layers: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._steps = np.array([1, -1, self.stride, -self.stride])
        frontier = self.roots
        unseen[frontier] = False
        while True:
            others = frontier[:, None] + self._steps
            source, step = np.nonzero(unseen[others])
            if not len(source):
                break
            parents, frontier = frontier[source], others[source, step]
            unseen[frontier] = False
            self.parents[frontier] = parents
            self.to_parent[frontier] = _BACK[step]
            self.layers.append((frontier, parents))
            self.depths[frontier] = len(self.layers)

    def cells(self, levels: NDArray[np.int64], xy: NDArray[np.int64]) -> NDArray[np.int64]:
        """Flat cells, int64 (N,), of levels int64 (N,) and x and y int64 (N, 2)."""
        cells: NDArray[np.int64] = (levels * self.stride + xy[:, 1] + 1) * self.stride + xy[:, 0] + 1
        return cells

    def unflatten(self, flat: NDArray[_Kind]) -> NDArray[_Kind]:
        """(L, size, size) of what is given for flat cells."""
        return flat.reshape(-1, self.stride, self.stride)[:, 1:-1, 1:-1]

    def last_on_the_way(self, marked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The last marked cell on the way from the root to each cell, itself not counted; 0 if there is none."""
        last = np.zeros(marked.size, np.int64)
        for cells, parents in self.layers:
            last[cells] = np.where(marked[parents], parents, last[parents])
        return last

    def largest_on_the_way(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        """The largest value on the way from the root to each cell, itself counted; the root's own is not."""
        largest = values.copy()
        largest[self.roots] = 0
        for cells, parents in self.layers:
            largest[cells] = np.maximum(largest[parents], values[cells])
        return largest

    def bits_below(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The bits of each cell and of all cells that lie behind it, seen from the root."""
        below = bits.copy()
        for cells, parents in reversed(self.layers):
            np.bitwise_or.at(below, parents, below[cells])
        return below

    def distances(self, below: NDArray[np.uint8], targets: NDArray[np.int64]) -> NDArray[np.int16]:
        """Steps from each cell to each target of its maze, int16 (cells, T); meaningless for walls and for no target.

        Args:
            below: what ``bits_below`` gave for the targets' bits.
            targets: int64 (L, T), flat cells; bit t of ``below`` is target t.
        """
        away = np.zeros((self.depths.size, targets.shape[1]), np.int16)
        away[self.roots] = self.depths[targets]
        nearer = 1 - 2 * (below[:, None] >> np.arange(targets.shape[1]) & 1).astype(np.int16)
        for cells, parents in self.layers:
            away[cells] = away[parents] + nearer[cells]
        return away

    def directions(
        self, below: NDArray[np.uint8], cells: NDArray[np.int64], targets: NDArray[np.int64]
    ) -> NDArray[np.int8]:
        """Direction codes, int8 (N,), from cells towards targets; 0 where the cell is the target's.

        Args:
            below: what ``bits_below`` gave for the targets' bits.
            cells: int64 (N,), flat.
            targets: int64 (N,), which bit is wanted; it must be set in one cell of each level.
        """
        behind = below[cells] >> targets & 1
        children = cells[:, None] + self._steps
        ahead = (self.parents[children] == cells[:, None]) & ((below[children] >> targets[:, None] & 1) == 1)
        forward = ahead @ _CODES
        return np.where(behind == 1, forward, self.to_parent[cells]).astype(np.int8)
