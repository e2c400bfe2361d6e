"""What the oracle saw and did in whole episodes, for those who learn from recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import TRAIN_LEVELS
from heist_encoders.policies.play import OraclePolicy, StepInput, play_episodes


class Episode(NamedTuple):
    """One episode of T steps.

    Attributes:
        level_seed: the level.
        observations: (T + 1, ...); at the end the last one is shown once more, as by this package's environments.
        actions: int64 (T,), 0 to 8.
        rewards: float32 (T,).
        success: whether it ended at the goal; else by the time limit.
    """

    level_seed: int
    observations: NDArray[Any]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    success: bool


def oracle_episodes(
    num: int, options: Mapping[str, Any], observe: Callable[[NDArray[np.uint8]], NDArray[Any]], seed: Sequence[int]
) -> list[Episode]:
    """Let the oracle play levels of the training range, each once, from their true starts.

    Args:
        num: of episodes; they are played together.
        options: ``game``, ``distribution_mode`` and ``use_backgrounds``.
        observe: frames uint8 (N, 64, 64, 3) -> what is kept of them, (N, ...).
        seed: of the levels.

    Raises:
        ConfigError: for a game without an oracle.
    """
    levels = np.random.default_rng(seed).integers(TRAIN_LEVELS.start, TRAIN_LEVELS.stop, num).tolist()
    player = _Watched(observe, num)
    episodes = []
    for game, result in enumerate(play_episodes(player, levels, options, num_games=num)):
        seen, rewards = player.seen[game], player.rewards[game]
        # The last reward comes when nobody is asked any more.
        rewards = [*rewards, result.episode_return - sum(rewards)]
        episodes.append(
            Episode(
                level_seed=result.level_seed,
                observations=np.stack([*seen, seen[-1]]),
                actions=np.array(player.actions[game], np.int64),
                rewards=np.array(rewards, np.float32),
                success=result.success,
            )
        )
    return episodes


class _Watched:
    """The oracle, and what it saw and did in each game, which is played once."""

    name = "oracle"

    def __init__(self, observe: Callable[[NDArray[np.uint8]], NDArray[Any]], games: int) -> None:
        self._observe, self._oracle = observe, OraclePolicy()
        self.seen: list[list[NDArray[Any]]] = [[] for _ in range(games)]
        self.actions: list[list[int]] = [[] for _ in range(games)]
        self.rewards: list[list[float]] = [[] for _ in range(games)]

    def start(self, games: Sequence[int]) -> None:
        """Nothing to forget."""

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """The oracle's moves."""
        actions = self._oracle.act(seen)
        observations = self._observe(seen.frames)
        for row, game in enumerate(seen.games.tolist()):
            if self.actions[game]:
                self.rewards[game].append(float(seen.rewards[row]))
            self.seen[game].append(observations[row].copy())
            self.actions[game].append(int(actions[row]))
        return actions
