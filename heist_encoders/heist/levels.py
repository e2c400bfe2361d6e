"""Levels read from the engine once, stacked so that thousands of poses can be drawn from them with array operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heist_encoders.elements import COLORS, ELEMENTS
from heist_encoders.heist.engine import Engine
from heist_encoders.heist.solver import Maze
from heist_encoders.heist.state import DOOR, EXIT, KEY, WALL, PoseWriter, State, parse_state

NUM_TARGETS = 7
"""What an agent may be on its way to, in the order of progress: key blue, door blue, key green, ..., exit (last)."""
UNREACHABLE = 127

NEIGHBOURS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
"""(dx, dy) of the 8 neighbours of a cell; bit ``i`` of a wall code is set where neighbour ``i`` is closed."""


class LevelBank:
    """A stack of ``L`` levels of Heist.

    Attributes:
        seeds: int64 (L,).
        num_keys: int8 (L,), keys in the level, 0 to 3, and as many doors: always the first colours.
        positions: float32 (L, 7, 2), x and y of each element in cells, NaN where the level has none.
        gates: int8 (L, size, size), the progress from which on each cell can be reached; 127 for walls.
        wall_codes: uint8 (L, size, size), which of the 8 neighbours are walls (see ``NEIGHBOURS``).
        directions: int8 (L, 7, size, size), direction code towards each target (see ``solver.STEPS``).
        writers: the levels' ``PoseWriter``.
        world_size: side of the world in cells.
    """

    def __init__(self, engine: Engine, seeds: Sequence[int]) -> None:
        self.seeds = np.array(seeds, dtype=np.int64)
        states: list[State] = []
        for start in range(0, len(seeds), engine.num):
            part = [int(seed) for seed in seeds[start : start + engine.num]]
            engine.load_levels(dict(enumerate(part)))
            states += [parse_state(engine.get_state(i)) for i in range(len(part))]
        levels = [_read(state) for state in states]
        self.num_keys = np.array([state.num_keys for state in states], dtype=np.int8)
        self.positions = np.stack([level[0] for level in levels])
        self.gates = np.stack([level[1] for level in levels])
        self.directions = np.stack([level[2] for level in levels])
        self.wall_codes = wall_codes(np.stack([state.grid for state in states]) == WALL)
        self.writers = [PoseWriter(state) for state in states]
        self.world_size = states[0].world_size

    def __len__(self) -> int:
        return len(self.seeds)


def present(num_keys: NDArray[np.int8], progress: NDArray[np.int8]) -> NDArray[np.bool_]:
    """bool (N, 7): which elements are still there at a progress, if the level has them. Inputs are int8 (N,)."""
    colors = np.arange(len(COLORS))
    has = colors < num_keys[:, None]
    keys = has & (progress[:, None] <= 2 * colors)
    doors = has & (progress[:, None] <= 2 * colors + 1)
    return np.concatenate([keys, doors, np.ones((len(keys), 1), dtype=np.bool_)], axis=1)


def target_index(num_keys: NDArray[np.int8], progress: NDArray[np.int8]) -> NDArray[np.int64]:
    """int64 (N,): which of the 7 targets comes next (see ``NUM_TARGETS``). Inputs are int8 (N,)."""
    return np.where(progress >= 2 * num_keys, NUM_TARGETS - 1, progress).astype(np.int64)


def wall_codes(walls: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 (L, H, W): the closed neighbours of each cell; beyond the world's edge all is closed."""
    padded = np.pad(walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    height, width = walls.shape[1:]
    codes = np.zeros(walls.shape, dtype=np.uint8)
    for bit, (dx, dy) in enumerate(NEIGHBOURS):
        part = padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        codes |= np.where(part, np.uint8(1 << bit), np.uint8(0))
    return codes


def _read(state: State) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int8]]:
    positions = np.full((len(ELEMENTS), 2), np.nan, dtype=np.float32)
    keys, doors = state.positions(KEY), state.positions(DOOR)
    gates: dict[tuple[int, int], int] = {}
    for first, found, gate in ((0, keys, 1), (3, doors, 2)):
        for color, (x, y) in found.items():
            positions[first + color] = x, y
            gates[int(x), int(y)] = 2 * color + gate
    positions[6] = state.positions(EXIT)[0]
    gates[int(positions[6, 0]), int(positions[6, 1])] = UNREACHABLE
    x, y, _ = state.agent
    maze = Maze(state.grid, (int(x), int(y)))
    directions = np.zeros((NUM_TARGETS, *state.grid.shape), dtype=np.int8)
    for element in np.flatnonzero(~np.isnan(positions[:, 0])):
        index = 6 if element == 6 else 2 * (element % 3) + element // 3
        directions[index] = maze.directions(*positions[element].astype(int))
    return positions, maze.gates(gates), directions
