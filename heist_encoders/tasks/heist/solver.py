"""Shortest paths in Heist's mazes, which are trees, and the oracle that walks them."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import NOOP
from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, WALL, State, parse_state

STEPS = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=np.int8)
"""int8 (5, 2): (dx, dy) of a direction code: 0 nowhere, then right, left, up, down."""

SLACK = 0.125
"""How far off a corridor's centre line the agent (0.75 wide) may be and still enter it, in cells."""
_TOLERANCE = 0.1


class Maze:
    """The free cells of a level as a tree, found by one breadth-first search.

    Args:
        grid: int32 (size, size) of ``WALL`` and ``SPACE``, ``grid[y, x]``.
        root: (x, y) of a free cell.
    """

    def __init__(self, grid: NDArray[np.int32], root: tuple[int, int]) -> None:
        self.size = len(grid)
        self._stride = stride = self.size + 2
        free = np.zeros((stride, stride), dtype=bool)
        free[1:-1, 1:-1] = grid != WALL
        unseen = free.ravel().tolist()
        start = self._flat(*root)
        self.order = [start]
        self.parents = [-1] * stride**2
        self.parents[start] = start
        unseen[start] = False
        to_parent = [0] * stride**2
        # A cell reached by a step has its parent in the opposite direction.
        steps = ((1, 2), (-1, 1), (stride, 4), (-stride, 3))
        for cell in self.order:
            for step, back in steps:
                other = cell + step
                if unseen[other]:
                    unseen[other] = False
                    self.parents[other] = cell
                    to_parent[other] = back
                    self.order.append(other)
        self._to_parent = np.array(to_parent, dtype=np.int8)

    def _flat(self, x: int, y: int) -> int:
        return (y + 1) * self._stride + x + 1

    def path(self, x: int, y: int) -> list[int]:
        """Flat cells from (x, y) up to the root, both included."""
        cell = self._flat(x, y)
        cells = [cell]
        while self.parents[cell] != cell:
            cell = self.parents[cell]
            cells.append(cell)
        return cells

    def gates(self, gates: dict[tuple[int, int], int]) -> NDArray[np.int8]:
        """Largest gate on the way from the root to each cell.

        Args:
            gates: (x, y) -> the progress from which on that cell can be walked through.

        Returns:
            int8 (size, size); 127 where no way leads.
        """
        own = [0] * self._stride**2
        for place, gate in gates.items():
            own[self._flat(*place)] = gate
        largest = [127] * self._stride**2
        largest[self.order[0]] = 0
        for cell in self.order[1:]:
            before, here = largest[self.parents[cell]], own[cell]
            largest[cell] = before if before >= here else here
        return self._unflatten(np.array(largest, dtype=np.int8))

    def directions(self, x: int, y: int) -> NDArray[np.int8]:
        """int8 (size, size): the direction code (see ``STEPS``) that leads from each cell to (x, y); 0 there."""
        codes = self._to_parent.copy()
        path = self.path(x, y)
        codes[path[0]] = 0
        opposite = (0, 2, 1, 4, 3)
        for child, parent in itertools.pairwise(path):
            codes[parent] = opposite[self._to_parent[child]]
        return self._unflatten(codes)

    def _unflatten(self, flat: NDArray[np.int8]) -> NDArray[np.int8]:
        return flat.reshape(self._stride, self._stride)[1:-1, 1:-1]


def oracle_moves(
    directions: NDArray[np.int8], x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The moves by which a shortest-path player goes on.

    The way's direction, with a correction towards the corridor's centre line when the agent is off it. The
    correction alone counts too when without it the agent could not enter; the direction alone counts when it could.

    Args:
        directions: int8 (N,), direction codes at the agents' cells.
        x, y: float32 (N,), the agents' positions in cells.

    Returns:
        A bit set of actions, int32 (N,), bit ``a`` for action ``a``, 0 where the code is 0; and the oracle's own
        action, int64 (N,), the no-op where the code is 0.
    """
    step = STEPS[directions].astype(np.int64)
    off = np.stack([x - np.floor(x) - np.float32(0.5), y - np.floor(y) - np.float32(0.5)], axis=-1)
    across = step == 0
    fix = np.where(across & (np.abs(off) > _TOLERANCE), -np.sign(off), 0).astype(np.int64)
    too_far = (across & (np.abs(off) > SLACK)).any(axis=-1)
    action = _action(step + fix)
    moves = (1 << action) | np.where(too_far, 1 << _action(fix), 1 << _action(step))
    nowhere = directions == 0
    return np.where(nowhere, 0, moves).astype(np.int32), np.where(nowhere, NOOP, action)


def _action(step: NDArray[np.int64]) -> NDArray[np.int64]:
    action: NDArray[np.int64] = (step[..., 0] + 1) * 3 + step[..., 1] + 1
    return action


def target(state: State) -> tuple[int, int]:
    """(x, y) of the cell that has to be reached next: the next key, its door, or at last the exit."""
    keys, doors = state.positions(KEY), state.positions(DOOR)
    goal = state.positions(EXIT)[0]
    for color in range(state.ring_size):
        if color in keys:
            goal = keys[color]
            break
        if color in doors:
            goal = doors[color]
            break
    return int(goal[0]), int(goal[1])


class Oracle:
    """Plays Heist by shortest paths: the keys in their order, then the exit. Solves every level."""

    def __init__(self) -> None:
        self._mazes: dict[tuple[int, int], Maze] = {}

    def action(self, blob: bytes) -> int:
        """The next move (0 to 8) from an engine state. Raises EngineError if the bytes are no state of Heist."""
        state = parse_state(blob)
        x, y, _ = state.agent
        key = (state.level_seed, state.world_size)
        maze = self._mazes.get(key)
        if maze is None:
            if len(self._mazes) >= 1024:
                self._mazes.clear()
            maze = self._mazes[key] = Maze(state.grid, (int(x), int(y)))
        code = maze.directions(*target(state))[int(y), int(x)]
        _, action = oracle_moves(np.array([code]), np.array([x], np.float32), np.array([y], np.float32))
        return int(action[0])
