"""States of labelled frames, from their labels alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.tasks.heist.levels import LevelBank


def states_of(engine: Engine, labels: Mapping[str, NDArray[np.generic]]) -> NDArray[np.void]:
    """What ``Engine.draw`` takes, for label columns of Heist, each (N,): arrays or a pandas frame."""
    columns = {name: np.asarray(labels[name]) for name in ("level_seed", "progress", "agent_x", "agent_y")}
    seeds, level = np.unique(columns["level_seed"], return_inverse=True)
    xy = np.stack([columns["agent_x"], columns["agent_y"]], axis=1)
    bank = LevelBank(engine, seeds.tolist())
    return bank.states(level, columns["progress"], xy, np.asarray(labels["agent_rotation"]))
