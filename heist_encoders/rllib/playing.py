"""Whole episodes in a policy's own environment, whatever it is wrapped in: what it shows is what the policy sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from heist_encoders.engine import Engine
from heist_encoders.envs.options import EnvOptions
from heist_encoders.envs.starts import StartOptions
from heist_encoders.envs.vector import HeistVectorEnv
from heist_encoders.errors import ConfigError
from heist_encoders.policies.play import LevelResult
from heist_encoders.rllib.batch_policy import RLlibPolicy
from heist_encoders.tasks.registry import task_of

_Runner: Any = SingleAgentEnvRunner


class _Environments(_Runner):
    """RLlib's env runner as far as it makes environments: from a registered name, a gymnasium id or a class."""

    def make_module(self) -> None:
        """None is needed."""
        self.module = None


def make_environments(env: Any, env_config: Mapping[str, Any], num: int, vectorize_mode: Any = "sync") -> Any:
    """A vector environment of ``num`` games, as RLlib makes it; episodes begin at true starts and have no other limit.

    Args:
        env: ``AlgorithmConfig.env``: a name registered with Tune, a gymnasium id, or a class.
        env_config: its options.
        num: of games.
        vectorize_mode: ``AlgorithmConfig.gym_env_vectorize_mode``.

    Raises:
        ConfigError: for a name that is unknown in this process, or an environment that shows no game of this package.
    """
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    mode = gym.VectorizeMode(vectorize_mode)
    true_starts = {name: value for name, value in StartOptions().to_dict().items() if name in env_config}
    config: Any = AlgorithmConfig()
    config.environment(env, env_config={**env_config, **true_starts}).env_runners(
        num_env_runners=0,
        num_envs_per_env_runner=num,
        gym_env_vectorize_mode=gym.VectorizeMode.SYNC if mode is gym.VectorizeMode.ASYNC else mode,
    )
    try:
        envs = _Environments(config=config, worker_index=0).env
    except (gym.error.NameNotFound, gym.error.NamespaceNotFound) as error:
        raise ConfigError(
            f"environment {env!r} is not known here ({error}); register it (ray.tune.register_env) before"
        ) from None
    try:
        options_of(envs)
    except ConfigError:
        envs.close()
        raise
    return envs


def options_of(envs: Any) -> EnvOptions:
    """What is played.

    Raises:
        ConfigError: if it is no game of this package.
    """
    base = envs.unwrapped
    try:
        options = base.options if isinstance(base, HeistVectorEnv) else base.get_attr("options")[0]
    except AttributeError:
        options = None
    if not isinstance(options, EnvOptions):
        raise ConfigError(
            f"{envs} shows no game of this package; expected an environment made by make_env, wrapped or not"
        )
    return options


def play_environments(
    player: RLlibPolicy, envs: Any, levels: Sequence[int], *, progress: Callable[[int, int], None] | None = None
) -> list[LevelResult]:
    """Play every level once, as many at a time as there are games.

    Args:
        player: who plays.
        envs: from ``make_environments``.
        levels: level seeds.
        progress: called with the number of levels done and of all.

    Returns:
        A result for each level, in their order.

    Raises:
        ConfigError: if a wrapper keeps ``reset(options={"level_seed": ...})`` from the game.
    """
    results: list[LevelResult] = []
    for start in range(0, len(levels), envs.num_envs):
        results += _play_together(player, envs, levels[start : start + envs.num_envs])
        if progress is not None:
            progress(len(results), len(levels))
    return results


def _play_together(player: RLlibPolicy, envs: Any, levels: Sequence[int]) -> list[LevelResult]:
    observations = _open(envs, levels)
    groups = _groups(options_of(envs), levels)
    player.start(range(envs.num_envs))
    playing = list(range(len(levels)))
    returns, rewards, lengths = np.zeros(envs.num_envs), np.zeros(envs.num_envs), np.zeros(envs.num_envs, np.int64)
    found: dict[int, LevelResult] = {}
    while playing:
        actions = np.zeros(envs.num_envs, np.int64)  # games that have ended go on by themselves, and do not count
        actions[playing] = player.decide(playing, [observations[game] for game in playing], rewards[playing])
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        returns[playing] += rewards[playing]
        lengths[playing] += 1
        for game in [game for game in playing if terminated[game] or truncated[game]]:
            success = bool(infos[game].get("level_complete", False))
            found[game] = LevelResult(
                int(levels[game]), groups[game], success, float(returns[game]), int(lengths[game])
            )
        playing = [game for game in playing if game not in found]
    return [found[game] for game in range(len(levels))]


def _open(envs: Any, levels: Sequence[int]) -> Any:
    """Open a level in each of the first games; the observations of all."""
    observations, _ = envs.reset()
    for game, level in enumerate(levels):
        mask = np.arange(envs.num_envs) == game
        observations, infos = envs.reset(options={"level_seed": int(level), "reset_mask": mask})
        opened = infos[game].get("level_seed")
        if opened != level:
            raise ConfigError(
                f"asked {envs} for level {level}, it opened {opened}; a wrapper must pass reset's options and info on"
            )
    return observations


def _groups(options: EnvOptions, levels: Sequence[int]) -> list[int]:
    """Number of keys of each level, -1 where the game has no such groups."""
    with Engine(
        len(levels), game=options.game, distribution_mode=options.distribution_mode,
        use_backgrounds=options.use_backgrounds,
    ) as engine:  # fmt: skip
        engine.load_levels([int(level) for level in levels])
        found = [task_of(options.game).level_group(engine, game) for game in range(len(levels))]
    return [-1 if group is None else group for group in found]
