"""Where in a cell, and how turned, a played agent is found: an empirical table keyed by the closed neighbours.

The packaged table is made by ``experiments/pose_table.py`` from played frames. A classifier can't distinguish poses
drawn from it from played ones, unlike uniform offsets (see that script's output).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks.heist.levels import NEIGHBOURS

ROTATIONS = np.array([k * np.pi / 4 for k in range(-4, 4)], dtype=np.float32)
"""float32 (8,): the rotations that an agent can have, in radians."""

_BITS = np.zeros((3, 3), dtype=np.uint8)
"""The bit of a neighbour in a wall code, by (dy, dx), -1 to 1, where -1 is the last row and column; 0 in the middle."""
for _bit, (_dx, _dy) in enumerate(NEIGHBOURS):
    _BITS[_dy, _dx] = 1 << _bit


class PoseTable:
    """Poses by wall code.

    Args:
        offsets: float32 (K, 2), position in the cell, [0, 1), grouped by code.
        rotations: uint8 (K,), indices into ``ROTATIONS``.
        counts: int64 (256,), poses of each code.
    """

    def __init__(self, offsets: NDArray[np.float32], rotations: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
        self.offsets = np.concatenate([offsets, np.array([[0.5, 0.5]], np.float32)])
        self.rotations = np.concatenate([rotations, np.array([4], np.uint8)])
        self.counts = counts
        self.starts = np.concatenate([[0], np.cumsum(counts)[:-1]])

    def draw(
        self, codes: NDArray[np.uint8], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Offsets in the cell, float32 (N, 2) in [0, 1), and rotations, float32 (N,), for codes uint8 (N,).

        A code that was never played gives the cell's centre and rotation 0.
        """
        return self.at(codes, rng.random(len(codes)))

    def at(
        self, codes: NDArray[np.uint8], random: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What ``draw`` gives, for random numbers float64 (N,) in [0, 1)."""
        counts = self.counts[codes]
        picks = self.starts[codes] + (random * counts).astype(np.int64)
        picks = np.where(counts > 0, picks, len(self.offsets) - 1)
        return self.offsets[picks], ROTATIONS[self.rotations[picks]]


@lru_cache(maxsize=3)
def pose_table(distribution_mode: str) -> PoseTable:
    """The packaged table of a distribution mode."""
    path = files("heist_encoders.tasks.heist") / "data" / f"poses-{distribution_mode}.npz"
    with path.open("rb") as file, np.load(file) as data:
        return PoseTable(data["offsets"].astype(np.float32) / np.float32(65536), data["rotations"], data["counts"])


def closed_codes(
    wall_codes: NDArray[np.uint8],
    cells: NDArray[np.int64],
    doors: NDArray[np.float32],
    num_keys: NDArray[np.int8],
    progress: NDArray[np.int8],
) -> NDArray[np.uint8]:
    """Which neighbours are walls or doors whose key is not held.

    Args:
        wall_codes: uint8 (N,), of the agents' cells.
        cells: int64 (N, 2), x and y of those cells.
        doors: float32 (N, 3, 2), positions of the doors, NaN where there is none.
        num_keys, progress: int8 (N,).

    Returns:
        uint8 (N,).
    """
    codes = wall_codes.copy()
    for color in range(3):
        closed = (progress <= 2 * color) & (color < num_keys) & ~np.isnan(doors[:, color, 0])
        offset = np.floor(np.nan_to_num(doors[:, color], nan=-9.0)).astype(np.int64) - cells
        beside = closed & (np.abs(offset) <= 1).all(axis=1)
        codes[beside] |= _BITS[offset[beside, 1], offset[beside, 0]]
    return codes
