"""The names under which RLlib knows encoded Heist, and the one creator behind them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.spaces.utils import flatten_space
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import FlattenObservation
from gymnasium.wrappers.vector import TransformObservation

import heist_encoders.rllib.sharing  # noqa: F401 - finds encoders on nodes without the driver's disk

PREFIX = "heist-"
PIXELS = "heist-pixels"
HISTORY = ("frame_stack", "previous_action_reward")
"""Options of an environment that make its observations a history."""


def env_name(encoder: str | None) -> str:
    """RLlib's name for an encoder: ``vae_alex`` or ``vae-alex`` -> ``heist-vae-alex``; None -> ``heist-pixels``."""
    return PIXELS if encoder is None else PREFIX + encoder.replace("_", "-")


def _flat_rows(env: VectorEnv[Any, Any, Any]) -> VectorEnv[Any, Any, Any]:
    """A vector environment whose encodings are flat, in one reshape (gymnasium's own copies game by game)."""

    def flatten(encodings: Any) -> Any:
        return encodings.reshape(len(encodings), -1)

    return TransformObservation(
        env,
        flatten,
        single_observation_space=flatten_space(env.single_observation_space),
    )


def create_env(
    config: Mapping[str, Any], *, encoder: str | None = None
) -> gym.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """The environment creator that is registered with Tune.

    Args:
        config: the fields of ``heist_encoders.envs.EnvConfig``, and with an encoder ``frame_stack`` and
            ``previous_action_reward`` of ``heist_encoders.envs.HistoryEnv``; ``encoder`` overrides the one of the name.
            With ``num_envs``, which RLlib adds for ``gym_env_vectorize_mode="vector_entry_point"``, a vector
            environment.
        encoder: the encoder of the name, None for raw frames.

    Returns:
        An environment whose observations are flat, float32 (size,), or frames, uint8 (64, 64, 3).
    """
    from heist_encoders.envs import HistoryEnv, HistoryVectorEnv, make_env, make_vector_env

    options = dict(config)
    num_envs = options.pop("num_envs", None)
    chosen = options.pop("encoder", encoder)
    history = {name: options.pop(name) for name in HISTORY if name in options}
    wanted = history.get("frame_stack", 1) != 1 or bool(history.get("previous_action_reward"))
    if num_envs is None:
        env: gym.Env[Any, Any] = make_env(chosen, **options)
        if chosen is not None:
            env = FlattenObservation(env)  # RLlib's default models take nothing else
        return HistoryEnv(env, **history) if wanted else env
    vector_env: VectorEnv[Any, Any, Any] = make_vector_env(chosen, num_envs=num_envs, **options)
    if chosen is not None:
        vector_env = _flat_rows(vector_env)
    return HistoryVectorEnv(vector_env, **history) if wanted else vector_env


def register(*encoders: str) -> list[str]:
    """Make encoded Heist known to RLlib and Tune as ``heist-<encoder>``, and raw frames as ``heist-pixels``.

    Args:
        encoders: names to register; by default all of the zoo: packaged ones and those promoted by the user.

    Returns:
        The registered names. ``AlgorithmConfig.environment(name, env_config=...)`` takes the fields of ``EnvConfig``.
    """
    from ray import tune

    from heist_encoders.zoo.lookup import list_artifacts

    names: dict[str, str | None] = {
        env_name(encoder): encoder for encoder in encoders or [artifact.name for artifact in list_artifacts()]
    }
    names[PIXELS] = None
    for name, encoder in names.items():
        tune.register_env(name, functools.partial(create_env, encoder=encoder))
    return sorted(names)
