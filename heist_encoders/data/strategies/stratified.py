"""Equally many frames of each stratum, as the game's task defines them."""

from __future__ import annotations

import numpy as np

from heist_encoders.data.manifest import Chunk, DatasetSpec
from heist_encoders.tasks import Rows, task_of


def draw_stratified(spec: DatasetSpec, chunk: Chunk, levels: range, rng: np.random.Generator) -> Rows:
    """Drawn by the task, which knows how to make a frame of each stratum."""
    return task_of(spec.game).draw_stratified(spec, chunk, levels, rng)
