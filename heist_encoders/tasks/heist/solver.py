"""The moves along shortest paths, and the oracle that walks them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import NOOP
from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, WALL, State, parse_state
from heist_encoders.tasks.ways import STEPS, action_of, directions_to

SLACK = 0.125
"""How far off a corridor's centre line the agent (0.75 wide) may be and still enter it, in cells."""
_TOLERANCE = 0.1
_KEPT_WAYS = 4096


def oracle_moves(
    directions: NDArray[np.int8], x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The moves that are on a shortest path.

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
    action = action_of(step + fix)
    moves = (1 << action) | np.where(too_far, 1 << action_of(fix), 1 << action_of(step))
    nowhere = directions == 0
    return np.where(nowhere, 0, moves).astype(np.int32), np.where(nowhere, NOOP, action)


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
        self._ways: dict[tuple[int, int, tuple[int, int]], NDArray[np.int8]] = {}

    def action(self, blob: bytes) -> int:
        """The next move (0 to 8) from an engine state. Raises EngineError if the bytes are no state of Heist."""
        state = parse_state(blob)
        x, y, _ = state.agent
        goal = target(state)
        key = (state.level_seed, state.world_size, goal)
        if key not in self._ways:
            if len(self._ways) >= _KEPT_WAYS:
                self._ways.clear()
            self._ways[key] = directions_to(state.grid != WALL, goal)
        code = self._ways[key][int(y), int(x)]
        _, action = oracle_moves(np.array([code]), np.array([x], np.float32), np.array([y], np.float32))
        return int(action[0])
