"""How good a policy is: every level of a fixed list, one whole episode each.

RLlib's own evaluation stops at the first K episodes that finish, and in Heist those are the successes: a random policy
looks perfect at first. Here every listed level is played to its end and counts once, whatever its length.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.envs.options import level_set
from heist_encoders.errors import ConfigError, HeistEncodersWarning, unknown_name
from heist_encoders.json_text import JsonObject
from heist_encoders.policies.evaluate import Evaluation
from heist_encoders.policies.play import ActionRepeat, play_episodes
from heist_encoders.policies.play import OraclePolicy as OraclePlayer
from heist_encoders.policies.play import RandomPolicy as RandomPlayer
from heist_encoders.rllib.batch_policy import RLlibPolicy, frame_encoder, plays_frames
from heist_encoders.rllib.options import GREEDY
from heist_encoders.rllib.playing import make_environments, options_of, play_environments

PolicyEvaluation = Evaluation
"""The name that version 0.1 gave what ``evaluate_policy`` found."""


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
) -> Evaluation:
    """Play every level of a list once, to its end.

    Args:
        policy: a built RLlib algorithm, the folder of a checkpoint (of ``train_ppo``, or of RLlib's with ``env`` and
            ``env_config``), ``"random"``, ``"oracle"``, or a ``BatchPolicy``. Policies of RLlib that were trained in
            another environment than this package registers (a gymnasium id, a creator of your own, wrappers) are played
            in that environment; its games must be this package's. Nothing of a training changes: filters of connectors
            go on learning in a copy.
        levels: how many of the fixed evaluation levels, or a list of level seeds. A ``HeistEncodersWarning`` says how
            many of them the policy was trained on, if any.
        env_config: options of the environment (``distribution_mode``, ``encoder``, ...); an algorithm and a
            checkpoint of ``train_ppo`` know them.
        env: the environment's name in RLlib, only for checkpoints of RLlib's.
        greedy: take the most probable action; else sample, or explore, as in training (default, see ``GREEDY``).
        num_games: games in one batch; does not change the results of a greedy policy.
        seed: of the sampling and of the random policy.
        progress: called with the number of levels done and of all.

    Raises:
        ConfigError: if no level is asked for.
        UnknownNameError: for a policy that is none.
        ArtifactError: for a folder that is no checkpoint.
        ConfigError: also for an environment that is none of this package's games, or is not registered here.
    """
    import torch

    seeds = list(EVALUATION_LEVELS[:levels]) if isinstance(levels, int) else [int(level) for level in levels]
    if not seeds or num_games < 1:
        raise ConfigError(f"levels = {levels!r}, num_games = {num_games}: expected at least one of each")
    found = _found(policy, env, dict(env_config or {}), greedy, seed)
    player, options = found.player, found.options
    if policy not in ("random", "oracle"):
        _warn_of_seen(seeds, options)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]), contextlib.ExitStack() as stack:
        torch.manual_seed(seed)
        if found.env is None:
            held = ActionRepeat(player, options.get("action_repeat", 1))
            results = play_episodes(held, seeds, options, num_games=num_games, progress=progress)
            mode = options.get("distribution_mode", "memory")
        else:
            envs = make_environments(found.env, options, min(num_games, len(seeds)), found.vectorize_mode)
            stack.callback(envs.close)
            results = play_environments(player, envs, seeds, progress=progress)
            mode = options_of(envs).distribution_mode
    return Evaluation(
        player=player.name,
        greedy=greedy if isinstance(player, RLlibPolicy) else None,
        distribution_mode=mode,
        levels=tuple(results),
        seconds=time.perf_counter() - started,
    )


def evaluation_function(
    algorithm: Any, eval_env_runner_group: Any = None, *, levels: int | Sequence[int] = 64, **options: Any
) -> tuple[JsonObject, int, int]:
    """RLlib's ``custom_evaluation_function``: ``evaluate_policy`` on the current policy.

        config.evaluation(evaluation_interval=10, custom_evaluation_function=evaluation_function)

    Returns:
        The figures (also as ``env_runners/episode_return_mean`` and ``episode_len_mean``), and the steps played twice.
    """
    from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

    found = evaluate_policy(algorithm, levels=levels, **options)
    # Two of them also under their names in version 0.1.
    figures: JsonObject = {**found.to_dict(), "mean_return": found.return_mean, "mean_length": found.length_mean}
    figures["env_runners"] = {
        "episode_return_mean": found.return_mean,
        "episode_len_mean": found.length_mean,
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


class _Found(NamedTuple):
    """Who plays, what, and in which environment of RLlib; None: in the games themselves, from frames."""

    player: Any
    options: dict[str, Any]
    env: Any = None
    vectorize_mode: Any = "sync"


def _found(policy: Any, env: str | None, options: dict[str, Any], greedy: bool, seed: int) -> _Found:
    if policy == "random":
        return _Found(RandomPlayer(options.get("actions", "moves"), seed), options)
    if policy == "oracle":
        return _Found(OraclePlayer(), options)
    if hasattr(policy, "env_runner") and hasattr(policy, "config"):
        config = policy.config
        options = {**config.env_config, **options}
        frames = plays_frames(config.env, options)
        player = RLlibPolicy.from_algorithm(policy, greedy=greedy, frames=frames)
        if frames:
            return _Found(player, _resolved(config.env, options))
        return _Found(player, options, config.env, config.gym_env_vectorize_mode)
    if hasattr(policy, "act") and hasattr(policy, "start"):
        return _Found(policy, options)
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
    frames = plays_frames(name, options)
    player = RLlibPolicy.from_checkpoint(
        path, env=name, env_config=options, greedy=greedy, frames=frames, env_steps=known.get("env_steps")
    )
    if frames:
        return _Found(player, _resolved(name, options))
    return _Found(player, options, name, known.get("vectorize_mode", "sync"))


def _resolved(env: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options with what the environment takes from its encoder where they do not say: mode, game, backgrounds."""
    encode = frame_encoder(env, options)
    if encode is None:
        return options
    artifact = encode.artifact
    of_encoder = {
        "distribution_mode": artifact.distribution_mode,
        "game": artifact.game,
        "use_backgrounds": artifact.use_backgrounds,
    }
    return {**options, **{key: value for key, value in of_encoder.items() if options.get(key) is None}}
