"""States of Heist as procgen serialises them: read one, and write any pose in any level as a short one.

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
_EMPTY_RNG = struct.pack("<ii", 1, 0)
"""A generator text of no length: the receiver keeps its own generator. Five times faster to set than a full one."""
_NEVER = 99
"""A progress that no game reaches."""

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


class PoseWriter:
    """Writes states of one level: any progress, any pose. A frame without background is a function of just these.

    Args:
        state: the level's state at progress 0 (right after its reset).
    """

    def __init__(self, state: State) -> None:
        self._agent = state.entities[:1].tobytes()
        self._tail_of_agent = self._agent[8:52]
        self._after_rotation = self._agent[56:]
        self._by_progress: list[tuple[bytes, bytes]] = []
        end = state.bag1 + _EMPTY_RNG + state.bag2 + state.grid.tobytes()
        start = state.head + _EMPTY_RNG + _EMPTY_RNG
        rest = state.entities[1:]
        # Each entity's bytes, and the progress from which on it is gone.
        last = [
            2 * color + 1 if kind == KEY else 2 * color + 2 if kind == DOOR else _NEVER
            for kind, color in zip(rest["type"].tolist(), rest["image_theme"].tolist(), strict=True)
        ]
        size = ENTITY.itemsize
        content = rest.tobytes()
        for progress in range(2 * state.num_keys + 1):
            kept = [content[i * size : (i + 1) * size] for i, gone in enumerate(last) if progress < gone]
            middle = bytearray(state.middle)
            struct.pack_into("<i", middle, _MID_N_ENTITIES, len(kept) + 1)
            held = [int(progress >= 2 * color + 1) for color in range(state.ring_size)]
            tail = struct.pack(f"<iii{len(held)}iI", state.ring_size, state.world_size, len(held), *held, 0xCAFECAFE)
            self._by_progress.append((start + bytes(middle), b"".join(kept) + end + tail))

    def write(self, progress: int, x: float, y: float, rotation: float) -> bytes:
        """The state at ``progress`` (0 to 2 * num_keys) with the agent at (x, y), in cells, turned by ``rotation``."""
        before, after = self._by_progress[progress]
        pose = struct.pack("<ff", x, y) + self._tail_of_agent + struct.pack("<f", rotation) + self._after_rotation
        return before + pose + after
