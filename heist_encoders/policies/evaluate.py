"""How good a policy is, without Ray: whole episodes from true starts, with an interval."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from heist_encoders.constants import DEFAULT_GAME, DISTRIBUTION_MODES
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.json_text import JsonObject
from heist_encoders.policies.play import (
    ActionRepeat,
    BatchPolicy,
    LevelResult,
    OraclePolicy,
    RandomPolicy,
    play_episodes,
)
from heist_encoders.policies.policy import Policy, PolicyRunner

_NORMAL_95 = 1.959964


class Figures(TypedDict):
    """Of some levels."""

    num_levels: int
    return_mean: float
    """0 to 10 in Heist."""
    return_interval: list[float]
    """Low, high: 95%, normal, over episodes."""
    success_rate: float
    """0 to 1."""
    length_mean: float
    """Steps, up to 1,000."""


class EvaluationFigures(Figures):
    """Of all levels, and of those with 0, 1, ... keys."""

    player: str
    greedy: bool | None
    distribution_mode: str
    by_num_keys: dict[str, Figures]
    env_steps: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What ``play_levels`` and RLlib's ``evaluate_policy`` found.

    Attributes:
        player: what played: ``policy``, ``random``, ``oracle``, ...
        greedy: whether a policy took its most probable actions; None for others.
        distribution_mode: of the levels.
        levels: one result a level: seed, number of keys, success, return and length in steps.
        seconds: wall time.
    """

    player: str
    greedy: bool | None
    distribution_mode: str
    levels: tuple[LevelResult, ...]
    seconds: float

    @property
    def success_rate(self) -> float:
        """Share of the levels whose exit was reached, 0 to 1."""
        return float(np.mean([level.success for level in self.levels]))

    @property
    def return_mean(self) -> float:
        """Mean return of an episode, 0 to 10 in Heist."""
        return float(np.mean([level.episode_return for level in self.levels]))

    @property
    def length_mean(self) -> float:
        """Mean length of an episode in steps; 1,000 is the time limit."""
        return float(np.mean([level.length for level in self.levels]))

    @property
    def env_steps(self) -> int:
        """Steps played in all."""
        return sum(level.length for level in self.levels)

    mean_return, mean_length = return_mean, length_mean
    """Their names in version 0.1."""

    def to_dict(self) -> EvaluationFigures:
        """Figures over all levels and, under ``by_num_keys``, of the levels with 0, 1, ... keys."""
        by_keys = {
            str(keys): _figures([level for level in self.levels if level.num_keys == keys])
            for keys in sorted({level.num_keys for level in self.levels})
        }
        return {
            "player": self.player,
            "greedy": self.greedy,
            "distribution_mode": self.distribution_mode,
            **_figures(self.levels),
            "by_num_keys": by_keys,
            "env_steps": self.env_steps,
            "seconds": round(self.seconds, 3),
        }


def _figures(levels: Sequence[LevelResult]) -> Figures:
    returns = np.array([level.episode_return for level in levels])
    mean = float(returns.mean())
    half = _NORMAL_95 * float(returns.std(ddof=1)) / math.sqrt(len(returns)) if len(returns) > 1 else math.inf
    return {
        "num_levels": len(levels),
        "return_mean": mean,
        "return_interval": [mean - half, mean + half],
        "success_rate": float(np.mean([level.success for level in levels])),
        "length_mean": float(np.mean([level.length for level in levels])),
    }


def play_levels(
    policy: Policy | BatchPolicy | str,
    mode: str,
    levels: Sequence[int],
    *,
    envs: int = 64,
    greedy: bool = False,
    seed: int = 0,
    action_repeat: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Play every level once, a whole episode from its true start.

    Args:
        policy: a policy, a ``BatchPolicy``, ``"random"`` or ``"oracle"``.
        mode: ``easy``, ``hard`` or ``memory``.
        levels: level seeds; ``heist_encoders.constants.EVALUATION_LEVELS`` are never trained on.
        envs: games in a batch.
        greedy: take a policy's most probable actions; else draw from its distribution.
        seed: of the draws, and of the random policy. With the same seed, ``envs`` and levels the result is the same.
        action_repeat: steps for which each action of another player than a ``Policy``, which has its own, is held.
        progress: called with the number of levels done and of all.

    Raises:
        UnknownNameError: for a mode or policy that does not exist.
        ConfigError: for no level or game, or a policy whose encoder was trained on another mode.

    Examples:
        >>> from heist_encoders.policies.evaluate import play_levels
        >>> result = play_levels("oracle", "easy", range(4))
        >>> result.to_dict()["success_rate"]
        1.0
    """
    if mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", mode, DISTRIBUTION_MODES)
    if not len(levels) or envs < 1:
        raise ConfigError(f"{len(levels)} levels, envs = {envs}: expected at least one of each")
    options: JsonObject = {"distribution_mode": mode, "game": DEFAULT_GAME}
    runner: BatchPolicy
    if isinstance(policy, Policy):
        if policy.distribution_mode != mode:
            raise ConfigError(
                f"policy {policy.name!r} plays {policy.distribution_mode} mode, asked for {mode}; use "
                f"mode={policy.distribution_mode!r} or another policy"
            )
        options |= {"game": policy.artifact.game, "use_backgrounds": policy.artifact.use_backgrounds}
        runner = PolicyRunner(policy, greedy=greedy, seed=seed)
    elif isinstance(policy, str):
        if policy not in ("random", "oracle"):
            raise unknown_name("policy", policy, ["random", "oracle"])
        runner = RandomPolicy(seed=seed) if policy == "random" else OraclePolicy()
    else:
        runner = policy
    started = time.perf_counter()
    seeds = [int(level) for level in levels]
    if not isinstance(policy, Policy):
        runner = ActionRepeat(runner, action_repeat)
    results = play_episodes(runner, seeds, options, num_games=envs, progress=progress)
    return Evaluation(
        player=runner.name,
        greedy=greedy if isinstance(policy, Policy) else None,
        distribution_mode=mode,
        levels=tuple(results),
        seconds=time.perf_counter() - started,
    )
