"""Frames of games that are played."""

from __future__ import annotations

import numpy as np

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.data.manifest import Chunk, DatasetSpec
from heist_encoders.data.play import Play
from heist_encoders.tasks import Rows, task_of
from heist_encoders.tasks.engines import new_engine

_STRIDE = 4


def draw_natural(spec: DatasetSpec, chunk: Chunk, levels: range, rng: np.random.Generator) -> Rows:
    """Every fourth frame of 16 games that go on from level to level."""
    frames = np.empty((chunk.rows, *FRAME_SHAPE), dtype=np.uint8)
    labeller = task_of(spec.game).labeller(spec.distribution_mode)
    with new_engine(spec) as engine:
        play = Play(engine, levels, spec.policy, rng)
        row = 0
        while row < chunk.rows:
            for _ in range(_STRIDE):
                play.step()
            take = min(engine.num, chunk.rows - row)
            frames[row : row + take] = engine.frames[:take]
            labeller.add(engine, range(take), play.rewards[:take])
            row += take
    return Rows(frames, labeller.columns())
