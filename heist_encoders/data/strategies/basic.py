"""The original project's plain generator: a short random walk in a new level."""

from __future__ import annotations

import numpy as np

from heist_encoders.constants import FRAME_SHAPE, NUM_ACTIONS
from heist_encoders.data.manifest import Chunk, DatasetSpec
from heist_encoders.tasks import Rows, task_of
from heist_encoders.tasks.engines import new_engine

_MOVES = 10


def draw_basic(spec: DatasetSpec, chunk: Chunk, levels: range, rng: np.random.Generator) -> Rows:
    """One frame a level, after 10 random moves."""
    frames = np.empty((chunk.rows, *FRAME_SHAPE), dtype=np.uint8)
    labeller = task_of(spec.game).labeller(spec.distribution_mode)
    with new_engine(spec) as engine:
        for row in range(0, chunk.rows, engine.num):
            engine.load_levels(rng.integers(levels.start, levels.stop, engine.num).tolist())
            for _ in range(_MOVES):
                engine.act(rng.integers(0, NUM_ACTIONS, engine.num))
            take = min(engine.num, chunk.rows - row)
            frames[row : row + take] = engine.frames[:take]
            labeller.add(engine, range(take), engine.observe().rewards[:take])
    return Rows(frames, labeller.columns())
