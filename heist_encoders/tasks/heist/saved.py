"""Saved states from outside: every value is checked before the library, which would end the process, sees it."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from heist_encoders.constants import GAMES, MAX_LEVEL_SEED
from heist_encoders.engine import EngineState
from heist_encoders.errors import EngineError
from heist_encoders.tasks.blob import EMPTY_GENERATOR
from heist_encoders.tasks.heist.elements import COLORS
from heist_encoders.tasks.heist.state import (
    AGENT,
    DOOR,
    ENTITY,
    EXIT,
    KEY,
    KEY_ON_RING,
    SPACE,
    WALL,
    State,
    parse_state,
)

_MIDDLE_DONE, _MIDDLE_COMPLETE, _MIDDLE_SEED, _MIDDLE_SEED_BEFORE = 1, 2, 5, 6
_MIDDLE_ENDED, _MIDDLE_TIME, _MIDDLE_ENTITIES = 8, 13, 16
_BACKGROUND = slice(0, 16)
_NUM_BACKGROUNDS = 9
_HEAD_NUMBERS, _HEAD_VARIES = 17, (13, 14, 16)  # the range of levels and the game's place in its batch
_TYPES = (AGENT, DOOR, KEY, EXIT, KEY_ON_RING)
_MAX_SIZE, _MAX_ENTITIES, _MAX_FLOAT = 2**20, 32, 1e4


class Saved(NamedTuple):
    """A state to put into a game: its bytes, its level and the steps made in its episode."""

    state: EngineState
    level_seed: int
    steps: int


def check_saved(blob: object, own: bytes) -> Saved:
    """A saved state, made of what differs between the moments of a game and of the receiver's own state for the rest.

    Args:
        blob: what ``Engine.get_state`` returned for a game of Heist with the same options.
        own: what it returns for the game that is to be put into that state.

    Raises:
        EngineError: in one line, if it is anything else.
    """
    if not isinstance(blob, bytes) or not 512 <= len(blob) <= _MAX_SIZE:
        what = f"{len(blob)} bytes" if isinstance(blob, bytes) else f"a {type(blob).__name__}"
        raise EngineError(f"state is {what}, expected the bytes that get_state() returns")
    state, mine = parse_state(blob), parse_state(own)
    try:
        seed, steps = _check(state, mine)
    except ValueError as error:
        raise EngineError(f"state of {len(blob)} bytes: {error}; expected what get_state() returns") from None
    middle = np.frombuffer(mine.middle, "<i4").copy()
    middle[[_MIDDLE_DONE, _MIDDLE_COMPLETE, _MIDDLE_ENDED]] = 0
    middle[[_MIDDLE_SEED, _MIDDLE_SEED_BEFORE]] = seed
    middle[_MIDDLE_TIME], middle[_MIDDLE_ENTITIES] = steps, len(state.entities)
    parts = (
        mine.head,
        2 * EMPTY_GENERATOR,
        middle.tobytes(),
        state.entities.tobytes(),
        state.bag1[_BACKGROUND] + mine.bag1[_BACKGROUND.stop :],
        EMPTY_GENERATOR,
        mine.bag2,
        state.grid.tobytes(),
        struct.pack("<iii", len(state.held), state.world_size, len(state.held)),
        state.held.astype("<i4").tobytes(),
        own[-4:],
    )
    return Saved(EngineState(b"".join(parts)), seed, steps)


def _check(state: State, mine: State) -> tuple[int, int]:
    """The level and the steps made; ValueError for what no game like ``mine`` can be in."""
    head, own_head = (np.frombuffer(each.head, "<i4", _HEAD_NUMBERS, 13) for each in (state, mine))
    varies = np.isin(np.arange(_HEAD_NUMBERS), _HEAD_VARIES)
    if state.world_size != mine.world_size or (head != own_head)[~varies].any():
        raise ValueError("it is of another distribution_mode or use_backgrounds than this environment")
    size = mine.world_size
    if state.grid.shape != (size, size) or not np.isin(state.grid, (WALL, SPACE)).all():
        raise ValueError(f"the grid is not {size} x {size} cells of wall and space")
    middle = np.frombuffer(state.middle, "<i4")
    seed, steps = int(middle[_MIDDLE_SEED]), int(middle[_MIDDLE_TIME])
    if not 0 <= seed <= MAX_LEVEL_SEED or not 0 <= steps < GAMES["heist"].time_limit:
        raise ValueError(f"level seed {seed} or step {steps} is out of range")
    if len(state.held) > len(COLORS):
        raise ValueError(f"{len(state.held)} keys on the ring")
    number, offset = state.background
    if not 0 <= number < _NUM_BACKGROUNDS or not np.isfinite(np.frombuffer(state.bag1, "<f4", 2, 8)).all():
        raise ValueError(f"background {number} at {offset}")
    _check_entities(state)
    return seed, steps


def _check_entities(state: State) -> None:
    entities = state.entities
    if not 1 <= len(entities) <= _MAX_ENTITIES:
        raise ValueError(f"{len(entities)} entities")
    for name in ENTITY.names or ():
        values = entities[name]
        if values.dtype.kind == "f" and not (np.abs(values) <= _MAX_FLOAT).all():
            raise ValueError(f"an entity's {name} is out of range")
    for name, known in (("type", _TYPES), ("image_type", _TYPES), ("image_theme", range(len(COLORS)))):
        if not np.isin(entities[name], list(known)).all():
            raise ValueError(f"an entity's {name} is unknown")
    kinds = entities["type"].tolist()
    x, y, _ = state.agent
    if kinds[0] != AGENT or kinds.count(AGENT) != 1 or len(state.positions(EXIT)) != 1:
        raise ValueError("it has not one agent and one exit")
    if not (0 <= x < state.world_size and 0 <= y < state.world_size) or state.grid[int(y), int(x)] != SPACE:
        raise ValueError(f"the agent stands at ({x}, {y}), in a wall or outside of the world")
