"""The two functions that make environments; gymnasium's entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heist_encoders.envs.options import resolve_options
from heist_encoders.envs.single import HeistEnv
from heist_encoders.envs.vector import HeistVectorEnv

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.encoder import Encoder


def make_env(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None = None,
    *,
    distribution_mode: str | None = None,
    num_levels: int = 0,
    start_level: int = 0,
    game: str | None = None,
    use_backgrounds: bool | None = None,
    actions: str = "all",
    normalize: bool = False,
    device: str = "cpu",
    backend: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    render_mode: str | None = None,
    **starts: Any,
) -> HeistEnv:
    """One game as a gymnasium environment.

    Args:
        encoder: an encoder's name, path, URI, artifact or reference, or an ``Encoder``; None shows the frames.
        distribution_mode: ``easy``, ``hard`` or ``memory``; None: the encoder's, ``memory`` for frames of Heist.
            A family's name takes the packaged artifact of that mode.
        num_levels: size of the level set; 0: every level from ``start_level`` on, less the evaluation levels (from
            1.5e9 on, see ``elements``) unless it starts among them.
        start_level: first level of the set.
        game: one of Procgen's 16 games; None: the one that the encoder was trained on, or Heist.
        use_backgrounds: draw textured backgrounds; None: as the encoder was trained, or no.
        actions: ``all`` (Procgen's 15) or ``moves`` (the 9 that matter in Heist).
        normalize: bring encodings to mean 0 and deviation 1 with the statistics stored in the artifact.
        device: where torch encodes: ``cpu``, ``cuda``, ``auto``.
        backend: ``auto`` (the faster one on this machine, see ``load_encoder``), ``torch`` or ``openvino``. They differ
            in the last digits of an encoding: name one where runs must agree to the bit.
        precision: of the encoder's arithmetic, ``float32`` or ``bfloat16``.
        threads: CPU threads of OpenVINO; None: ``OMP_NUM_THREADS``, else as many as torch uses.
        render_mode: ``rgb_array`` or ``human``: the frame and, beside it, its reconstruction.
        starts: where episodes of training begin and when they are cut: the options of ``starts.StartOptions``.

    Raises:
        HeistEncodersError: in one line, for any option that cannot be met.
    """
    return HeistEnv(
        resolve_options(
            encoder,
            distribution_mode=distribution_mode,
            num_levels=num_levels,
            start_level=start_level,
            game=game,
            use_backgrounds=use_backgrounds,
            actions=actions,
            normalize=normalize,
            device=device,
            backend=backend,
            precision=precision,
            threads=threads,
            render_mode=render_mode,
            **starts,
        )
    )


def make_vector_env(
    encoder: str | Path | Artifact | Encoder | Mapping[str, str] | None = None,
    *,
    num_envs: int,
    distribution_mode: str | None = None,
    num_levels: int = 0,
    start_level: int = 0,
    game: str | None = None,
    use_backgrounds: bool | None = None,
    actions: str = "all",
    normalize: bool = False,
    device: str = "cpu",
    backend: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    render_mode: str | None = None,
    frames_in_info: bool = False,
    **starts: Any,
) -> HeistVectorEnv:
    """``num_envs`` games as one gymnasium vector environment: one engine batch, one encoder call a step.

    Args:
        num_envs: number of games.
        frames_in_info: put the frames into ``info["frame"]``; it costs a copy.
        encoder, distribution_mode, num_levels, start_level, game, use_backgrounds, actions, normalize, device,
            backend, precision, threads, render_mode, starts: as in ``make_env``, but for ``human``.

    Raises:
        HeistEncodersError: in one line, for any option that cannot be met.
    """
    options = resolve_options(
        encoder,
        distribution_mode=distribution_mode,
        num_levels=num_levels,
        start_level=start_level,
        game=game,
        use_backgrounds=use_backgrounds,
        actions=actions,
        normalize=normalize,
        device=device,
        backend=backend,
        precision=precision,
        threads=threads,
        render_mode=render_mode,
        **starts,
    )
    return HeistVectorEnv(num_envs, options, frames_in_info=frames_in_info)
