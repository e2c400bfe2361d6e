"""Behaviour cloning on labelled frames, without Ray: a head learns the oracle's moves on a frozen encoding."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.data.drawing import ChunkProcesses
from heist_encoders.data.manifest import CHUNK_FRAMES, DatasetSpec
from heist_encoders.data.sampler import Rows
from heist_encoders.data.stream import stream
from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.policies.heads import HeadConfig, HeadPolicy, head_kind
from heist_encoders.policies.planner import fit_head
from heist_encoders.policies.policy import Policy
from heist_encoders.tasks.targets import move_distribution
from heist_encoders.training.config import LossConfig
from heist_encoders.training.hardware import denormals_as_zero, keep_memory
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import Encoder, load_encoder

Progress = Callable[[str, int, int], None]


def clone(
    encoder: str | Path | Artifact,
    *,
    mode: str,
    frames: int,
    samples: int | None = None,
    head: HeadConfig | None = None,
    batch_size: int = 32,
    lr: float = 4e-3,
    seed: int = 0,
    name: str = "clone",
    workers: int = 1,
    backend: str = "auto",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Policy:
    """Teach a head the oracle's moves.

    Args:
        encoder: name, path or artifact; stays as it is.
        mode: distribution mode, ``easy``, ``hard`` or ``memory``.
        frames: labelled frames to draw: balanced situations from the training levels, also off the oracle's path.
        samples: rows to learn from in all; None: each frame once. Each frame is encoded once.
        head: what to train, not recurrent; None: the planner for spatial encodings, else an MLP.
        batch_size: rows a step of the optimizer.
        lr: its highest learning rate, see ``fit_head``.
        seed: of the frames, the initial weights and the order.
        name: of the policy.
        workers: processes that draw the frames, and threads that learn together on a CPU (see ``fit_head``).
        backend: of the encoder.
        device: of the encoder and the head: ``auto``, ``cpu`` or ``cuda``.
        progress: called with ``encode`` or ``learn``, frames done and of all.

    Returns:
        The policy, of class D, with the number of demonstrations in its training record. Its value is untrained.

    Raises:
        UnknownNameError, ArtifactError: for an encoder that does not exist (for this mode).
        ConfigError: for a recurrent head, or values out of range.
    """
    if frames < 1 or (samples is not None and samples < 1):
        raise ConfigError(f"frames = {frames}, samples = {samples}: expected at least 1")
    loaded = load_encoder(encoder, distribution_mode=mode, backend=backend, device=device)
    device = loaded.device
    config = head or HeadConfig(kind=head_kind("auto", loaded.shape))
    if config.lstm:
        raise ConfigError("lstm > 0: frames that are drawn one by one have no order; expected a head without memory")
    times = {"draw_and_encode": time.perf_counter()}
    encodings, moves = encoded_moves(loaded, mode, frames, seed=seed, workers=workers, progress=progress)
    times = {"draw_and_encode": time.perf_counter() - times["draw_and_encode"], "learn": time.perf_counter()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HeadPolicy(loaded.shape, config)
    total = samples or frames
    losses: list[float] = []

    def step(done: int, loss: float) -> None:
        losses.append(loss)
        if progress is not None:
            progress("learn", min(done, total), total)

    with keep_memory(), denormals_as_zero():
        fit_head(
            model, encodings, moves, samples=total, batch_size=batch_size, lr=lr, seed=seed,
            workers=workers if device == "cpu" else 1, device=device, progress=step,
        )  # fmt: skip
    times["learn"] = time.perf_counter() - times["learn"]
    training = {
        "class": "D",
        "method": "behaviour cloning",
        "demonstration_frames": frames,
        "samples": total,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "loss": float(np.mean(losses[-max(1, len(losses) // 20) :])),
        "encoder_frames": loaded.artifact.training.get("samples"),
        "encoder_labels": used_labels(loaded.artifact),
        "seconds": {part: round(seconds, 1) for part, seconds in times.items()},
    }
    return Policy(model, loaded.artifact, name=name, training=training, backend=loaded.backend, device=device)


def used_labels(encoder: Artifact) -> bool | None:
    """Whether labels had a part in an encoder's training; None if its record does not say."""
    config = encoder.training.get("config")
    if not isinstance(config, dict):
        return None
    try:
        return LossConfig.from_dict(config.get("loss", {})).needs_maps
    except HeistEncodersError:  # of another version
        return None


def encoded_moves(
    encoder: Encoder, mode: str, frames: int, *, seed: int = 0, workers: int = 1, progress: Progress | None = None
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Draw labelled frames from the training levels, in so many processes, and encode them.

    Returns:
        Normalised encodings, float16 (frames, *shape), which is half the memory and close enough to learn from, and
        distributions over the oracle's moves, float32 (frames, 9).
    """
    spec = DatasetSpec.from_dict(
        {"distribution_mode": mode, "use_backgrounds": encoder.artifact.use_backgrounds, "seed": seed}
    )
    encodings = np.empty((frames, *encoder.shape), np.float16)
    moves = np.empty((frames, 9), np.float32)
    with contextlib.ExitStack() as stack:
        chunks: Iterator[Rows] = stream(spec, batch_size=CHUNK_FRAMES)
        if workers > 1:
            chunks = stack.enter_context(ChunkProcesses(spec, 0, workers))
        for at in range(0, frames, CHUNK_FRAMES):
            rows = next(chunks)
            take = min(CHUNK_FRAMES, frames - at)
            encodings[at : at + take] = encoder.normalize(encoder.encode(rows.frames[:take]))
            moves[at : at + take] = move_distribution(rows.labels["oracle_moves"][:take].astype(np.int64))
            if progress is not None:
                progress("encode", at + take, frames)
    return encodings, moves
