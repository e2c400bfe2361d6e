"""Levels, stacked so that thousands of poses can be drawn from them with array operations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.errors import EngineError
from heist_encoders.tasks.heist.elements import COLORS, ELEMENTS
from heist_encoders.tasks.heist.generation import make_levels
from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, LEVEL_SEEDS, SPACE, WALL, compact, parse_state
from heist_encoders.tasks.heist.ways import Ways

UNREACHABLE = 127

_GATES = np.array([1, 3, 5, 2, 4, 6, UNREACHABLE], dtype=np.int8)
"""The progress from which on the cell of each of ``ELEMENTS`` can be walked through."""
_OUTSIDE = -9.0
_templates: WeakKeyDictionary[Engine, NDArray[np.void]] = WeakKeyDictionary()

NEIGHBOURS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))
"""(dx, dy) of the 8 neighbours of a cell; bit ``i`` of a wall code is set where neighbour ``i`` is closed."""


class LevelBank:
    """A stack of ``L`` levels of Heist.

    Args:
        engine: games of Heist, in the distribution mode that is wanted. The first bank that an engine serves opens a
            level in it.
        seeds: level seeds.

    Raises:
        EngineError: if the engine makes other levels than ``generation.make_levels``.

    Attributes:
        seeds: int64 (L,).
        num_keys: int8 (L,), keys in the level, 0 to 3, and as many doors: always the first colours.
        positions: float32 (L, 7, 2), x and y of each element in cells, NaN where the level has none.
        gates: int8 (L, size, size), the progress from which on each cell can be reached; 127 for walls.
        wall_codes: uint8 (L, size, size), which of the 8 neighbours are walls (see ``NEIGHBOURS``).
        free: bool (L, size, size), ``free[level, y, x]``: no wall.
        starts: int64 (L, 2), x and y of the agent's first cell.
        world_size: side of the world in cells.
        ways: the ways from each cell to what comes next.
    """

    def __init__(self, engine: Engine, seeds: Sequence[int]) -> None:
        if engine not in _templates:
            _templates[engine] = _template(engine)
        self.seeds = np.array(seeds, dtype=np.int64)
        levels = make_levels(engine.distribution_mode, self.seeds)
        self.num_keys, self.positions = levels.num_keys, levels.positions
        self.free, self.starts = levels.free, levels.starts
        self.world_size = levels.free.shape[-1]
        self.wall_codes = wall_codes(~levels.free)
        tree = levels.tree
        level, element = np.nonzero(~np.isnan(self.positions[..., 0]))
        cells = tree.cells(level, self.positions[level, element].astype(np.int64))
        gates = np.where(np.pad(levels.free, ((0, 0), (1, 1), (1, 1))), 0, UNREACHABLE).astype(np.int8).ravel()
        gates[cells] = _GATES[element]
        self.gates = tree.unflatten(tree.largest_on_the_way(gates))
        self.ways = Ways(tree, self.positions)
        self._states = np.repeat(_templates[engine], len(self.seeds))
        self._states["middle"][:, LEVEL_SEEDS] = self.seeds[:, None]
        self._states["grid"] = np.where(levels.free, SPACE, WALL)
        self._states["background"], self._states["background_offset"] = levels.backgrounds, levels.background_offsets
        elements = self._states["entities"][:, 1 : 1 + len(ELEMENTS)]
        elements["x"], elements["y"] = self.positions[..., 0], self.positions[..., 1]

    def __len__(self) -> int:
        return len(self.seeds)

    def states(
        self,
        level: NDArray[np.int64],
        progress: NDArray[np.int8],
        xy: NDArray[np.float32],
        rotation: NDArray[np.float32],
    ) -> NDArray[np.void]:
        """States for ``Engine.draw``. A frame without background is a function of just these.

        Args:
            level: int64 (N,), index into the bank.
            progress: int8 (N,), 0 to twice the number of the level's keys.
            xy: float32 (N, 2), the agent's position in cells.
            rotation: float32 (N,), the agent's, in radians.

        Returns:
            (N,) of ``state.compact_dtype``. What is gone lies far outside of the world, marked to be erased.
        """
        states = self._states[level]
        agents, elements = states["entities"][:, 0], states["entities"][:, 1 : 1 + len(ELEMENTS)]
        agents["x"], agents["y"], agents["rotation"] = xy[:, 0], xy[:, 1], rotation
        gone = ~present(self.num_keys[level], progress)
        for name, value in (("x", _OUTSIDE), ("y", _OUTSIDE), ("will_erase", 1)):
            elements[name][gone] = value
        states["held"] = progress[:, None] >= 2 * np.arange(len(COLORS)) + 1
        return states

    @cached_property
    def path_lengths(self) -> NDArray[np.int16]:
        """int16 (L, P, size, size): steps from cell to cell that a shortest path to the exit takes, by way of all keys
        and doors that are left at each progress 0 to P - 1 (P = 2 * most keys + 1); -1 where the agent can't be.
        """
        return self.ways.path_lengths(self.num_keys, self.gates)


def present(num_keys: NDArray[np.int8], progress: NDArray[np.int8]) -> NDArray[np.bool_]:
    """bool (N, 7): which elements are still there at a progress, if the level has them. Inputs are int8 (N,)."""
    colors = np.arange(len(COLORS))
    has = colors < num_keys[:, None]
    keys = has & (progress[:, None] <= 2 * colors)
    doors = has & (progress[:, None] <= 2 * colors + 1)
    return np.concatenate([keys, doors, np.ones((len(keys), 1), dtype=np.bool_)], axis=1)


def wall_codes(walls: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 (L, H, W): the closed neighbours of each cell; beyond the world's edge all is closed."""
    padded = np.pad(walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    height, width = walls.shape[1:]
    codes = np.zeros(walls.shape, dtype=np.uint8)
    for bit, (dx, dy) in enumerate(NEIGHBOURS):
        part = padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        codes |= np.where(part, np.uint8(1 << bit), np.uint8(0))
    return codes


def _template(engine: Engine) -> NDArray[np.void]:
    """A level with three keys as the engine itself makes it, compared with what ``make_levels`` makes of its seed."""
    seeds = np.arange(100)
    levels = make_levels(engine.distribution_mode, seeds)
    seed = int(np.argmax(levels.num_keys))
    engine.load_levels({0: seed})
    state = parse_state(engine.get_state(0))
    expected = levels.positions[seed].tolist()
    background = int(levels.backgrounds[seed]), float(levels.background_offsets[seed])
    same = (
        np.array_equal(state.grid != WALL, levels.free[seed])
        and state.agent == (*(levels.starts[seed] + 0.5).tolist(), 0)
        and state.background == background
        and [state.positions(kind) for kind in (KEY, DOOR, EXIT)]
        == [dict(enumerate(map(tuple, places))) for places in (expected[:3], expected[3:6], expected[6:])]
    )
    if not same:
        raise EngineError(
            f"level {seed} of this build of procgen is not as expected; install procgen==0.10.7 (Python 3.10) or "
            "procgen-mirror==0.10.7 (Python 3.11, 3.12)"
        )
    return compact(state)
