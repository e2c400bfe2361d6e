"""States of Heist as procgen serialises them: read one, or lay it out so that thousands are written at once.

All numbers are little-endian, packed and unaligned. The layout was found by experiment on procgen 0.10.7; the
same bytes come out of its rebuilds for later Pythons.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heist_encoders.errors import EngineError

AGENT, DOOR, KEY, EXIT, KEY_ON_RING = 0, 1, 2, 9, 11
"""Entity types."""
WALL, SPACE = 51, 100
"""Cell types of the grid."""

_NAME = b"heist"
_HEAD_SIZE = 8 + len(_NAME) + 17 * 4
_MID_SIZE, _BAG1_SIZE, _BAG2_SIZE = 68, 76, 48
_MID_LEVEL_SEED, _MID_N_ENTITIES = 5 * 4, 16 * 4
EMPTY_GENERATOR = struct.pack("<ii", 1, 0)
"""A generator text of no length: the receiver keeps its own generator. Five times faster to set than a full one."""
_ELEMENTS, _MAX_KEYS = 7, 3
_BACKGROUND = struct.Struct("<iiff")
LEVEL_SEEDS = slice(5, 7)
"""Of the numbers of ``middle``: the level in view and the one before."""

ENTITY = np.dtype(
    [(n, "<f4") for n in ("x", "y", "vx", "vy", "rx", "ry")]
    + [(n, "<i4") for n in ("type", "image_type", "image_theme", "render_z", "will_erase", "collides_with_entities")]
    + [(n, "<f4") for n in ("collision_margin", "rotation", "vrot")]
    + [(n, "<i4") for n in ("is_reflected", "fire_time", "spawn_time", "life_time", "expire_time", "use_abs_coords")]
    + [("friction", "<f4")]
    + [(n, "<i4") for n in ("smart_step", "avoids_collisions", "auto_erase")]
    + [(n, "<f4") for n in ("alpha", "health", "theta", "grow_rate", "alpha_decay", "climber_spawn_x")]
)
assert ENTITY.itemsize == 124


@dataclass(frozen=True)
class State:
    """A parsed state of Heist. Positions are in cells, with y up and (0, 0) the lower left corner of the world.

    Attributes:
        level_seed: the level.
        entities: structured array of dtype ``ENTITY``; the agent is the first.
        grid: int32 (height, width), ``WALL`` or ``SPACE``; ``grid[y, x]``.
        held: bool (ring_size,), the keys picked up so far (blue, green, red); they stay held after their door opened.
        world_size: side of the square world in cells.
        head, middle, bag1, bag2: the parts of the state that drawing a pose carries over unread.
    """

    level_seed: int
    entities: NDArray[np.void]
    grid: NDArray[np.int32]
    held: NDArray[np.bool_]
    world_size: int
    head: bytes
    middle: bytes
    bag1: bytes
    bag2: bytes

    @property
    def ring_size(self) -> int:
        """Number of keys that the engine meant to place, 0 to 3. In some levels it placed fewer."""
        return len(self.held)

    @property
    def num_keys(self) -> int:
        """Number of keys in the level, held or not: 0 to 3, always the first colours, and as many doors."""
        return int(self.held.sum()) + len(self.positions(KEY))

    @property
    def agent(self) -> tuple[float, float, float]:
        """(x, y, rotation) of the agent; rotation in radians as the engine stores it."""
        agent = self.entities[0]
        return float(agent["x"]), float(agent["y"]), float(agent["rotation"])

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
    try:
        return _parse(blob)
    except (struct.error, ValueError) as error:
        raise EngineError(f"{len(blob)} bytes that are no state of heist: {error}") from None


def _parse(blob: bytes) -> State:
    if blob[8 : 8 + len(_NAME)] != _NAME:
        raise ValueError("another game's name in the head")
    at = _HEAD_SIZE
    head = blob[:at]
    at = _skip_rng(blob, _skip_rng(blob, at))
    middle = blob[at : at + _MID_SIZE]
    at += _MID_SIZE
    (level_seed,) = struct.unpack_from("<i", middle, _MID_LEVEL_SEED)
    (count,) = struct.unpack_from("<i", middle, _MID_N_ENTITIES)
    entities = np.frombuffer(blob, ENTITY, count, at)
    at += count * ENTITY.itemsize
    bag1 = blob[at : at + _BAG1_SIZE]
    at = _skip_rng(blob, at + _BAG1_SIZE)
    bag2 = blob[at : at + _BAG2_SIZE]
    width, height, cells = struct.unpack_from("<iii", bag2, _BAG2_SIZE - 12)
    at += _BAG2_SIZE
    grid = np.frombuffer(blob, "<i4", cells, at).reshape(height, width)
    at += 4 * cells
    num_keys, world_size, count = struct.unpack_from("<iii", blob, at)
    held = np.frombuffer(blob, "<i4", count, at + 12)[:num_keys] != 0
    at += 12 + 4 * count
    if blob[at:] != struct.pack("<I", 0xCAFECAFE):
        raise ValueError("the end is not where it should be")
    return State(int(level_seed), entities, grid, held, world_size, head, middle, bag1, bag2)


def _skip_rng(blob: bytes, at: int) -> int:
    (size,) = struct.unpack_from("<i", blob, at + 4)
    return at + 8 + int(size)


def compact_dtype(world_size: int) -> np.dtype[np.void]:
    """A state without generators' texts and with places for all that any level can hold, always as many bytes.

    The entities are the agent, the 7 of ``ELEMENTS`` and the 3 keys on the ring.
    """
    return np.dtype(
        [
            ("head", f"V{_HEAD_SIZE}"),
            ("generators", f"V{2 * len(EMPTY_GENERATOR)}"),
            ("middle", "<i4", _MID_SIZE // 4),
            ("entities", ENTITY, 1 + _ELEMENTS + _MAX_KEYS),
            ("before_background", "<i4"),
            ("background", "<i4"),
            ("before_offset", "<f4"),
            ("background_offset", "<f4"),
            ("bag1", f"V{_BAG1_SIZE - _BACKGROUND.size}"),
            ("asset_generator", f"V{len(EMPTY_GENERATOR)}"),
            ("bag2", f"V{_BAG2_SIZE}"),
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
    middle[_MID_N_ENTITIES // 4] = len(places)
    out["head"], out["middle"], out["bag2"] = state.head, middle, state.bag2
    out["generators"], out["asset_generator"] = 2 * EMPTY_GENERATOR, EMPTY_GENERATOR
    names = ("before_background", "background", "before_offset", "background_offset")
    for name, value in zip(names, _BACKGROUND.unpack_from(state.bag1), strict=True):
        out[name] = value
    out["bag1"] = state.bag1[_BACKGROUND.size :]
    out["entities"] = state.entities[[found[place] for place in places]]
    out["grid"] = state.grid
    out["ring"] = _MAX_KEYS, state.world_size, _MAX_KEYS
    out["end"] = 0xCAFECAFE
    return out
