"""States of Heist: read one, or lay it out so that thousands are written at once."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heist_encoders.errors import EngineError
from heist_encoders.tasks.blob import (
    AGENT,
    BAG1_SIZE,
    BAG2_SIZE,
    EMPTY_GENERATOR,
    END,
    ENTITY,
    MIDDLE_SIZE,
    N_ENTITIES,
    SPACE,
    WALL,
    Blob,
    head_size,
    split_blob,
)

__all__ = ["AGENT", "DOOR", "ENTITY", "EXIT", "KEY", "KEY_ON_RING", "SPACE", "WALL", "State", "compact", "parse_state"]

DOOR, KEY, EXIT, KEY_ON_RING = 1, 2, 9, 11
"""Entity types."""

_ELEMENTS, _MAX_KEYS = 7, 3
_BACKGROUND = struct.Struct("<iiff")
LEVEL_SEEDS = slice(5, 7)
"""Of the numbers of ``middle``: the level in view and the one before."""


@dataclass(frozen=True)
class State(Blob):
    """A parsed state of Heist. Positions are in cells, with y up and (0, 0) the lower left corner of the world.

    Attributes:
        held: bool (ring_size,), the keys picked up so far (blue, green, red); they stay held after their door opened.
        world_size: side of the square world in cells.
    """

    held: NDArray[np.bool_]
    world_size: int

    @property
    def ring_size(self) -> int:
        """Number of keys that the engine meant to place, 0 to 3. In some levels it placed fewer."""
        return len(self.held)

    @property
    def num_keys(self) -> int:
        """Number of keys in the level, held or not: 0 to 3, always the first colours, and as many doors."""
        return int(self.held.sum()) + len(self.positions(KEY))

    @property
    def background(self) -> tuple[int, float]:
        """Which picture is behind the level, and where in it, [0, 1); drawn only with backgrounds."""
        _, number, _, offset = _BACKGROUND.unpack_from(self.bag1)
        return number, offset

    def positions(self, kind: int) -> dict[int, tuple[float, float]]:
        """Colour (0 blue, 1 green, 2 red) -> (x, y) of the present entities of a type (``KEY``, ``DOOR``, ``EXIT``)."""
        return self._positions.get(kind, {})

    @cached_property
    def _positions(self) -> dict[int, dict[int, tuple[float, float]]]:
        found: dict[int, dict[int, tuple[float, float]]] = {}
        columns = (self.entities[name].tolist() for name in ("type", "image_theme", "x", "y", "will_erase"))
        for kind, color, x, y, erased in zip(*columns, strict=True):
            if not erased:
                found.setdefault(kind, {})[color] = (x, y)
        return found

    @property
    def progress(self) -> int:
        """Events done so far, 0 to 2 * num_keys, in the order that Heist forces: key blue, door blue, key green, ..."""
        held = int(self.held.sum())
        return 2 * held - (held - 1 in self.positions(DOOR))


def parse_state(blob: bytes) -> State:
    """Read what ``Engine.get_state`` returns for a game of Heist.

    Raises:
        EngineError: if the bytes are not a whole state of Heist.
    """
    parts = split_blob(blob, "heist")
    tail = parts.tail
    if len(tail) < 3 or len(tail) != 3 + tail[2]:
        raise EngineError(f"{len(blob)} bytes that are no state of heist: the end is not where it should be")
    num_keys, world_size, _, *held = tail.tolist()
    return State(**vars(parts), held=np.array(held[:num_keys], np.int32) != 0, world_size=world_size)


def compact_dtype(world_size: int) -> np.dtype[np.void]:
    """A state without generators' texts and with places for all that any level can hold, always as many bytes.

    The entities are the agent, the 7 of ``ELEMENTS`` and the 3 keys on the ring.
    """
    return np.dtype(
        [
            ("head", f"V{head_size('heist')}"),
            ("generators", f"V{2 * len(EMPTY_GENERATOR)}"),
            ("middle", "<i4", MIDDLE_SIZE // 4),
            ("entities", ENTITY, 1 + _ELEMENTS + _MAX_KEYS),
            ("before_background", "<i4"),
            ("background", "<i4"),
            ("before_offset", "<f4"),
            ("background_offset", "<f4"),
            ("bag1", f"V{BAG1_SIZE - _BACKGROUND.size}"),
            ("asset_generator", f"V{len(EMPTY_GENERATOR)}"),
            ("bag2", f"V{BAG2_SIZE}"),
            ("grid", "<i4", (world_size, world_size)),
            ("ring", "<i4", 3),
            ("held", "<i4", _MAX_KEYS),
            ("end", "<u4"),
        ]
    )


def compact(state: State) -> NDArray[np.void]:
    """A state of a level with 3 keys, none of them taken, as an array () of ``compact_dtype``."""
    places = [(AGENT, 0), *((kind, color) for kind in (KEY, DOOR) for color in range(_MAX_KEYS)), (EXIT, 0)]
    places += [(KEY_ON_RING, color) for color in range(_MAX_KEYS)]
    columns = (state.entities[name].tolist() for name in ("type", "image_theme"))
    found = {place: index for index, place in enumerate(zip(*columns, strict=True))}
    out = np.zeros((), compact_dtype(state.world_size))
    middle = np.frombuffer(state.middle, "<i4").copy()
    middle[N_ENTITIES // 4] = len(places)
    out["head"], out["middle"], out["bag2"] = state.head, middle, state.bag2
    out["generators"], out["asset_generator"] = 2 * EMPTY_GENERATOR, EMPTY_GENERATOR
    names = ("before_background", "background", "before_offset", "background_offset")
    for name, value in zip(names, _BACKGROUND.unpack_from(state.bag1), strict=True):
        out[name] = value
    out["bag1"] = state.bag1[_BACKGROUND.size :]
    out["entities"] = state.entities[[found[place] for place in places]]
    out["grid"] = state.grid
    out["ring"] = _MAX_KEYS, state.world_size, _MAX_KEYS
    out["end"] = END
    return out
