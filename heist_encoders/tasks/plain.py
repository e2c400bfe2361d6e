"""The task of a game of which only the level seed and the reward are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.tasks.base import Columns, Labeller, Task


class PlainTask(Task):
    """One of Procgen's games, played by random actions."""

    def __init__(self, game: str) -> None:
        self.game = game

    def label_columns(self) -> dict[str, str]:
        return {
            "level_seed": "int64",
            "reward": "float32",  # of the step that led to the frame
        }

    def labeller(self, distribution_mode: str) -> Labeller:
        return _PlainLabeller()


class _PlainLabeller:
    def __init__(self) -> None:
        self._seeds: list[NDArray[np.int64]] = []
        self._rewards: list[NDArray[np.float32]] = []

    def add(self, engine: Engine, games: Sequence[int], rewards: NDArray[np.float32]) -> None:
        self._seeds.append(engine.observe().level_seeds[list(games)])
        self._rewards.append(rewards.copy())

    def columns(self) -> Columns:
        return {"level_seed": np.concatenate(self._seeds), "reward": np.concatenate(self._rewards)}
