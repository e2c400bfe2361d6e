"""How good a policy is: every level of a fixed list, one whole episode each.

RLlib's own evaluation stops at the first K episodes that finish, and in Heist those are the successes: a random policy
looks perfect at first. Here every listed level is played to its end and counts once, whatever its length.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.envs.options import level_set
from heist_encoders.errors import ConfigError, HeistEncodersWarning, unknown_name
from heist_encoders.policies.play import BatchPolicy as Player
from heist_encoders.policies.play import LevelResult, play_episodes
from heist_encoders.policies.play import OraclePolicy as OraclePlayer
from heist_encoders.policies.play import RandomPolicy as RandomPlayer
from heist_encoders.rllib.options import GREEDY
from heist_encoders.rllib.player import RLlibPlayer


@dataclasses.dataclass(frozen=True)
class PolicyEvaluation:
    """What ``evaluate_policy`` found.

    Attributes:
        player: ``policy``, ``random`` or ``oracle``.
        greedy: whether the policy took its most probable actions, or sampled; None for other players.
        distribution_mode: of the levels.
        levels: a result for each level, in the order asked for.
        seconds: wall time.
    """

    player: str
    greedy: bool | None
    distribution_mode: str
    levels: tuple[LevelResult, ...]
    seconds: float

    @property
    def success_rate(self) -> float:
        """Share of the levels whose exit was reached, 0..1."""
        return float(np.mean([level.success for level in self.levels]))

    @property
    def mean_return(self) -> float:
        """Mean return of an episode, 0..10 in Heist."""
        return float(np.mean([level.episode_return for level in self.levels]))

    @property
    def mean_length(self) -> float:
        """Mean length of an episode in steps; 1,000 is the time limit."""
        return float(np.mean([level.length for level in self.levels]))

    @property
    def env_steps(self) -> int:
        """Steps played in all."""
        return sum(level.length for level in self.levels)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, in all and by number of keys in the level."""
        by_keys = {}
        for keys in sorted({level.num_keys for level in self.levels}):
            part = dataclasses.replace(self, levels=tuple(level for level in self.levels if level.num_keys == keys))
            by_keys[str(keys)] = part._figures()
        return {
            "player": self.player,
            "greedy": self.greedy,
            "distribution_mode": self.distribution_mode,
            **self._figures(),
            "by_num_keys": by_keys,
            "env_steps": self.env_steps,
            "seconds": round(self.seconds, 3),
        }

    def _figures(self) -> dict[str, Any]:
        n, rate = len(self.levels), self.success_rate
        return {
            "num_levels": n,
            "success_rate": rate,
            "success_rate_stderr": math.sqrt(rate * (1 - rate) / n),
            "mean_return": self.mean_return,
            "mean_length": self.mean_length,
        }


def evaluate_policy(
    policy: Any,
    *,
    levels: int | Sequence[int] = 64,
    env_config: Mapping[str, Any] | None = None,
    env: str | None = None,
    greedy: bool = GREEDY,
    num_games: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PolicyEvaluation:
    """Play every level of a list once, to its end.

    Args:
        policy: a built RLlib algorithm, the folder of a checkpoint (of ``train_ppo``, or of RLlib's with ``env`` and
            ``env_config``), ``"random"``, ``"oracle"``, or a ``Player``.
        levels: how many of the fixed evaluation levels, or a list of level seeds. A ``HeistEncodersWarning`` says how
            many of them the policy was trained on, if any.
        env_config: options of the environment (``distribution_mode``, ``encoder``, ...); an algorithm and a
            checkpoint of ``train_ppo`` know them.
        env: the environment's name in RLlib, only for checkpoints of RLlib's.
        greedy: take the most probable action; else sample, as in training (default, see ``GREEDY``).
        num_games: games in one batch; does not change the results of a greedy policy.
        seed: of the sampling and of the random player.
        progress: called with the number of levels done and of all.

    Raises:
        ConfigError: if no level is asked for.
        UnknownNameError: for a policy that is none.
        ArtifactError: for a folder that is no checkpoint.
    """
    import torch

    seeds = list(EVALUATION_LEVELS[:levels]) if isinstance(levels, int) else [int(level) for level in levels]
    if not seeds or num_games < 1:
        raise ConfigError(f"levels = {levels!r}, num_games = {num_games}: expected at least one of each")
    player, options = _player(policy, env, dict(env_config or {}), greedy, seed)
    if policy not in ("random", "oracle"):
        _warn_of_seen(seeds, options)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        results = play_episodes(player, seeds, options, num_games=num_games, progress=progress)
    return PolicyEvaluation(
        player=player.name,
        greedy=greedy if isinstance(player, RLlibPlayer) else None,
        distribution_mode=options.get("distribution_mode", "memory"),
        levels=tuple(results),
        seconds=time.perf_counter() - started,
    )


def evaluation_function(
    algorithm: Any, eval_env_runner_group: Any = None, *, levels: int | Sequence[int] = 64, **options: Any
) -> tuple[dict[str, Any], int, int]:
    """RLlib's ``custom_evaluation_function``: ``evaluate_policy`` on the current policy.

        config.evaluation(evaluation_interval=10, custom_evaluation_function=evaluation_function)

    Returns:
        The figures (also as ``env_runners/episode_return_mean`` and ``episode_len_mean``), and the steps played twice.
    """
    from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

    found = evaluate_policy(algorithm, levels=levels, **options)
    figures = found.to_dict()
    figures["env_runners"] = {
        "episode_return_mean": found.mean_return,
        "episode_len_mean": found.mean_length,
        "num_episodes": len(found.levels),
    }
    returns = [level.episode_return for level in found.levels]
    if len(returns) > 1:
        figures["return_stderr"] = float(np.std(returns, ddof=1)) / math.sqrt(len(returns))
    # What RLlib reports under result["evaluation"] is read from its metrics, and of them only from what was merged.
    logger = MetricsLogger()
    _log(logger, figures, ())
    algorithm.metrics.aggregate([logger.reduce()], key="evaluation")
    return figures, found.env_steps, found.env_steps


def _log(metrics: Any, value: Any, key: tuple[str, ...]) -> None:
    """Log the numbers of nested figures, each under its path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _log(metrics, item, (*key, name))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        metrics.log_value(key, value, window=1)


def _warn_of_seen(seeds: Sequence[int], options: Mapping[str, Any]) -> None:
    trained = level_set(int(options.get("start_level") or 0), int(options.get("num_levels") or 0))
    seen = sum(seed in trained for seed in seeds)
    if seen:
        warnings.warn(
            f"{seen} of {len(seeds)} levels are among those that the policy was trained on ({trained[0]} to "
            f"{trained[-1]}): the figures do not say how it plays levels it has not seen",
            HeistEncodersWarning,
            stacklevel=3,
        )


def _player(
    policy: Any, env: str | None, options: dict[str, Any], greedy: bool, seed: int
) -> tuple[Player, dict[str, Any]]:
    if policy == "random":
        return RandomPlayer(options.get("actions", "moves"), seed), options
    if policy == "oracle":
        return OraclePlayer(), options
    if hasattr(policy, "env_runner") and hasattr(policy, "config"):
        return RLlibPlayer.from_algorithm(policy, greedy=greedy), {**policy.config.env_config, **options}
    if hasattr(policy, "act") and hasattr(policy, "start"):
        return policy, options
    if isinstance(policy, str) and "/" not in policy and not Path(policy).exists():
        raise unknown_name("policy", policy, ["random", "oracle", "<folder of a checkpoint>"])
    from heist_encoders.rllib.training import checkpoint_of, environment_of

    path = checkpoint_of(Path(policy))
    known = environment_of(path)
    options = {**known.get("env_config", {}), **options}
    name = env or known.get("env")
    if name is None:
        raise ConfigError(
            f"{path} does not say which environment it was trained in; give env= and env_config= as in its config"
        )
    return RLlibPlayer.from_checkpoint(path, env=name, env_config=options, greedy=greedy), options
