"""Quick measurements of the machine at hand: generation, encoders, environments."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heist_encoders.zoo import Artifact


def generation(mode: str, frames: int) -> dict[str, float]:
    """Generate ``frames`` balanced frames in this process. Returns frames, seconds and frames_per_second.

    The shards are written to a temporary folder; the start of the engine is not counted.
    """
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.manifest import DatasetSpec

    with tempfile.TemporaryDirectory(prefix="heist-bench-") as folder:
        generate_local(DatasetSpec(size=64, distribution_mode=mode), Path(folder) / "warm-up")  # type: ignore[arg-type]
        spec = DatasetSpec(size=frames, distribution_mode=mode, seed=1)  # type: ignore[arg-type]
        began = time.perf_counter()
        generate_local(spec, Path(folder) / "data")
        seconds = time.perf_counter() - began
    return {"frames": frames, "seconds": seconds, "frames_per_second": frames / seconds}


def encoder(artifact: Artifact) -> dict[str, float | str]:
    """CPU latency of an encoder with one frame and with 64, in milliseconds (medians), and frames a second at 64."""
    from heist_encoders.evaluation.speed import latency

    model = artifact.load_model("cpu")
    one, many = latency(model, 1), latency(model, 64)
    return {
        "latency_1_ms": one["median_ms"],
        "latency_64_ms": many["median_ms"],
        "frames_per_second": 64_000.0 / many["median_ms"],
    }


def environment(artifact: Artifact | None, mode: str, num_envs: int, seconds: float) -> dict[str, float | str]:
    """Steps a second of a vector environment under random moves; ``None`` is the environment of raw frames."""
    import numpy as np

    from heist_encoders.envs import make_vector_env

    rng = np.random.default_rng(0)
    env = make_vector_env(artifact, num_envs=num_envs, distribution_mode=mode, actions="moves")
    try:
        env.reset(seed=0)
        for _ in range(3):
            env.step(rng.integers(0, 9, num_envs))
        steps, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds or steps == 0:
            env.step(rng.integers(0, 9, num_envs))
            steps += 1
    finally:
        env.close()
    return {
        "encoder": "pixels" if artifact is None else artifact.name,
        "latent_dimension": 64 * 64 * 3 if artifact is None else math.prod(artifact.encoding_shape),
        "steps_per_second": steps * num_envs / elapsed,
    }
