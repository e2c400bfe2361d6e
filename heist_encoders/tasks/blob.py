"""The bytes of a game's state as procgen serialises it: the layout that games whose world is a grid share.

All numbers are little-endian, packed and unaligned. The layout was found by experiment on procgen 0.10.7; the
same bytes come out of its rebuilds for later Pythons.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heist_encoders.errors import EngineError

AGENT = 0
"""The agent's entity type."""
WALL, SPACE = 51, 100
"""Cell types of the grid."""

MIDDLE_SIZE, BAG1_SIZE, BAG2_SIZE = 68, 76, 48
N_ENTITIES = 16 * 4
"""Where the number of entities stands in the middle part."""
EMPTY_GENERATOR = struct.pack("<ii", 1, 0)
"""A generator text of no length: the receiver keeps its own generator. Five times faster to set than a full one."""
END = 0xCAFECAFE
_LEVEL_SEED = 5 * 4

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
class Blob:
    """The parts of a state.

    Attributes:
        level_seed: the level.
        entities: structured array of dtype ``ENTITY``; the agent is the first.
        grid: int32 (height, width) of cell types, ``grid[y, x]``, y up.
        tail: int32 (T,), the numbers after the grid that are the game's own.
        head, middle, bag1, bag2: the other parts, unread.
    """

    level_seed: int
    entities: NDArray[np.void]
    grid: NDArray[np.int32]
    tail: NDArray[np.int32]
    head: bytes
    middle: bytes
    bag1: bytes
    bag2: bytes

    @property
    def agent(self) -> tuple[float, float, float]:
        """(x, y, rotation) of the agent: cells, and radians as the engine stores it."""
        agent = self.entities[0]
        return float(agent["x"]), float(agent["y"]), float(agent["rotation"])


def head_size(game: str) -> int:
    """Bytes of the head: version, length of the game's name, the name, 17 numbers."""
    return 8 + len(game) + 17 * 4


def split_blob(blob: bytes, game: str) -> Blob:
    """Take a state of a game apart.

    Raises:
        EngineError: if the bytes are not a whole state of this game.
    """
    try:
        return _split(blob, game)
    except (struct.error, ValueError) as error:
        raise EngineError(f"{len(blob)} bytes that are no state of {game}: {error}") from None


def _split(blob: bytes, game: str) -> Blob:
    if blob[8 : 8 + len(game)] != game.encode():
        raise ValueError("another game's name in the head")
    at = head_size(game)
    head = blob[:at]
    at = _skip_generator(blob, _skip_generator(blob, at))
    middle = blob[at : at + MIDDLE_SIZE]
    at += MIDDLE_SIZE
    (level_seed,) = struct.unpack_from("<i", middle, _LEVEL_SEED)
    (count,) = struct.unpack_from("<i", middle, N_ENTITIES)
    if count < 1:
        raise ValueError(f"{count} entities")
    entities = np.frombuffer(blob, ENTITY, count, at)
    at += count * ENTITY.itemsize
    bag1 = blob[at : at + BAG1_SIZE]
    at = _skip_generator(blob, at + BAG1_SIZE)
    bag2 = blob[at : at + BAG2_SIZE]
    width, height, cells = struct.unpack_from("<iii", bag2, BAG2_SIZE - 12)
    at += BAG2_SIZE
    if min(width, height, cells) < 1:
        raise ValueError(f"a grid of {width} x {height} and {cells} cells")
    grid = np.frombuffer(blob, "<i4", cells, at).reshape(height, width)
    at += 4 * cells
    if blob[-4:] != struct.pack("<I", END):
        raise ValueError("the end is not where it should be")
    return Blob(int(level_seed), entities, grid, np.frombuffer(blob[at:-4], "<i4"), head, middle, bag1, bag2)


def _skip_generator(blob: bytes, at: int) -> int:
    (size,) = struct.unpack_from("<i", blob, at + 4)
    if size < 0:
        raise ValueError("a random number generator is malformed")
    return at + 8 + int(size)
