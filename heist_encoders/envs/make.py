"""The two functions that make environments; gymnasium's entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.envs.options import EnvConfig, limited, resolve_options
from heist_encoders.envs.single import HeistEnv
from heist_encoders.envs.vector import HeistVectorEnv

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.encoder import Encoder


def make_env(encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None = None, **options: object) -> HeistEnv:
    """One game as a gymnasium environment.

    Args:
        encoder: an encoder's name, path, URI, artifact or reference, or an ``Encoder``; None shows the frames.
        options: the fields of ``EnvConfig``: distribution_mode, num_levels, start_level, game, use_backgrounds,
            actions, normalize, render_mode, and the encoder's device, backend, precision, threads.

    Raises:
        HeistEncodersError: in one line, for any option that is unknown or cannot be met.

    Examples:
        >>> from heist_encoders.envs import make_env
        >>> env = make_env("vae_paper", distribution_mode="memory", actions="moves")
        >>> encoding, info = env.reset(seed=1)
        >>> encoding.dtype, info["frame"].shape
        (dtype('float32'), (64, 64, 3))
    """
    return HeistEnv(resolve_options(encoder, EnvConfig.resolve(**options)))


def make_vector_env(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None = None,
    *,
    num_envs: int,
    frames_in_info: bool = False,
    max_episode_steps: int | None = None,
    **options: object,
) -> HeistVectorEnv:
    """``num_envs`` games as one gymnasium vector environment: one engine batch, one encoder call a step.

    Args:
        encoder: as in ``make_env``.
        num_envs: number of games.
        frames_in_info: put the frames into ``info["frame"]``; it costs a copy.
        max_episode_steps: truncate episodes after so many steps, as gymnasium does for single environments; None or -1:
            at the game's own limit.
        options: as in ``make_env``, but for the render_mode ``human``.

    Raises:
        HeistEncodersError: in one line, for any option that is unknown or cannot be met.

    Examples:
        >>> from heist_encoders.envs import make_vector_env
        >>> envs = make_vector_env(None, num_envs=4, distribution_mode="easy")
        >>> frames, infos = envs.reset(seed=1)
        >>> frames.shape, frames.dtype
        ((4, 64, 64, 3), dtype('uint8'))
    """
    resolved = resolve_options(encoder, EnvConfig.resolve(**options))
    if max_episode_steps not in (None, -1):
        resolved = limited(resolved, max_episode_steps)
    return HeistVectorEnv(num_envs, resolved, frames_in_info=frames_in_info)
