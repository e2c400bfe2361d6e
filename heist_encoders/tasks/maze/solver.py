"""The shortest way to the cheese, and the oracle that walks it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks.blob import WALL
from heist_encoders.tasks.maze.state import MazeState, parse_state
from heist_encoders.tasks.ways import STEPS, action_of, directions_to

_KEPT_WAYS = 1024
_ACTIONS = action_of(STEPS.astype(np.int64))

MOVES = np.array([0, 0b111 << 6, 0b111, 1 << _ACTIONS[3], 1 << _ACTIONS[4]], np.int32)
"""int32 (5,): direction code -> bit set of the actions that make this step. In Maze a diagonal action moves to the side
only, so that three actions move right and three left."""


class WayToCheese:
    """Direction fields of the levels in play, each searched once."""

    def __init__(self) -> None:
        self._fields: dict[tuple[int, int], NDArray[np.int8]] = {}

    def direction(self, state: MazeState) -> int:
        """The direction code (see ``ways.STEPS``) that leads from the agent to the cheese; 0 there."""
        key = (state.level_seed, state.world_size)
        if key not in self._fields:
            if len(self._fields) >= _KEPT_WAYS:
                self._fields.clear()
            self._fields[key] = directions_to(state.grid != WALL, state.cheese)
        x, y = state.cell
        return int(self._fields[key][y, x])


class Oracle:
    """Plays Maze by the shortest way to the cheese. Solves every level."""

    def __init__(self) -> None:
        self._ways = WayToCheese()

    def action(self, blob: bytes) -> int:
        """The next move (0 to 8) from an engine state. Raises EngineError if the bytes are no state of Maze."""
        return int(_ACTIONS[self._ways.direction(parse_state(blob))])
