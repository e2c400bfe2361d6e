"""Engines for drawing frames of a dataset."""

from __future__ import annotations

import threading

from heist_encoders.engine import Engine
from heist_encoders.tasks.base import Spec

GAMES_AT_ONCE = 16

_kept = threading.local()


def new_engine(spec: Spec) -> Engine:
    """A batch of ``GAMES_AT_ONCE`` games as a spec wants them."""
    return Engine(
        GAMES_AT_ONCE,
        game=spec.game,
        distribution_mode=spec.distribution_mode,
        use_backgrounds=spec.use_backgrounds,
    )


def kept_engine(spec: Spec) -> Engine:
    """The thread's engine, kept from chunk to chunk: making one takes as long as drawing 130 frames.

    Only for strategies in which what was drawn before leaves no trace in a frame: each frame is a whole state.
    """
    key = (spec.game, spec.distribution_mode, spec.use_backgrounds)
    if getattr(_kept, "key", None) != key:
        _kept.engine, _kept.key = new_engine(spec), key
    engine: Engine = _kept.engine
    return engine
