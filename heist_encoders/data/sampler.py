"""Draws the frames and labels of one chunk: a pure function of (spec, chunk index)."""

from __future__ import annotations

import numpy as np

from heist_encoders.data.manifest import LEVEL_RANGES, Chunk, DatasetSpec
from heist_encoders.data.strategies import STRATEGIES
from heist_encoders.tasks import Rows

__all__ = ["Rows", "draw_chunk"]


def draw_chunk(spec: DatasetSpec, chunk: Chunk) -> Rows:
    """The rows of a chunk, the same on every machine.

    Needs nothing but procgen, about 0.06 s and 15 MB for a chunk of 1,008 frames of Heist drawn by strata.
    """
    rng = np.random.default_rng([spec.seed, chunk.index])
    return STRATEGIES[spec.balance](spec, chunk, LEVEL_RANGES[chunk.split], rng)
