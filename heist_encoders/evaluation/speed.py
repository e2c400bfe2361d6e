"""How long encoding takes, and the whole model: warmed up, synchronised, median with spread."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.evaluation.encoding import model_device
from heist_encoders.evaluation.figures import Speeds
from heist_encoders.training.hardware import torch_threads

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder

BATCHES = (1, 64)


def latency(
    model: BaseAutoencoder,
    batch: int = 1,
    device: str = "cpu",
    threads: int | None = 1,
    *,
    part: Literal["encoder", "model"] = "encoder",
    seconds: float = 0.4,
    repeats: int = 200,
) -> dict[str, float]:
    """Wall time from uint8 frames in main memory to the encodings (or reconstructions) in main memory.

    Args:
        model: moved to the device for the measurement and back; eval mode.
        batch: frames a call.
        device: ``"cpu"`` or ``"cuda"``. The GPU is waited for before each clock reading: the copy back to main memory
            ends only when the work has.
        threads: of torch on the CPU; None for torch's own choice.
        part: the encoder alone, or encoder and decoder.
        seconds: calls are timed one by one until they took so long, but at least 10, after a warm-up.
        repeats: or until there are so many.

    Returns:
        ``median_ms``, ``p10_ms``, ``p90_ms`` (milliseconds a call), ``frames_per_second`` (batch / median).
    """
    from heist_encoders.autoencoders.frames import to_input

    frames = np.random.default_rng(0).integers(0, 256, (batch, *FRAME_SHAPE), dtype=np.uint8)
    home = model_device(model)
    model.eval().to(device)

    def call() -> None:
        inputs = to_input(frames, torch.device(device))
        (model.encode(inputs) if part == "encoder" else model(inputs).reconstruction).cpu()
        if device != "cpu":
            torch.cuda.synchronize()

    times: list[float] = []
    try:
        with torch.inference_mode(), torch_threads(threads):
            for _ in range(5):
                call()
            deadline = time.perf_counter() + seconds
            while len(times) < 10 or (len(times) < repeats and time.perf_counter() < deadline):
                started = time.perf_counter()
                call()
                times.append(time.perf_counter() - started)
    finally:
        model.to(home)
    p10, median, p90 = (float(q) * 1e3 for q in np.percentile(times, [10, 50, 90]))
    return {"median_ms": median, "p10_ms": p10, "p90_ms": p90, "frames_per_second": batch / median * 1e3}


def cpu_cost(model: BaseAutoencoder, *, repeats: int = 60) -> float:
    """CPU time of the encoder on one frame, on one thread, in milliseconds: what it costs, whatever else is running.

    The least of many calls, by the clock of the thread that computes, which stands still while others have the core.

    Args:
        model: on the CPU, in eval mode afterwards.
        repeats: calls, after a warm-up.
    """
    from heist_encoders.autoencoders.frames import to_input

    frames = np.random.default_rng(0).integers(0, 256, (1, *FRAME_SHAPE), dtype=np.uint8)
    model.eval()
    least = math.inf
    with torch.inference_mode(), torch_threads(1):
        for number in range(5 + repeats):
            started = time.thread_time()
            model.encode(to_input(frames))
            if number >= 5:
                least = min(least, time.thread_time() - started)
    return least * 1e3


def speeds(model: BaseAutoencoder, *, seconds: float = 0.4) -> Speeds:
    """Latency on one CPU thread, and on the GPU if there is one.

    Returns:
        ``{"cpu": {"encoder": {"1": {...}, "64": {...}}, "model": {...}}, "cuda": ...}`` with ``latency``'s figures.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    parts: tuple[Literal["encoder", "model"], ...] = ("encoder", "model")
    return {
        device: {
            part: {str(batch): latency(model, batch, device, 1, part=part, seconds=seconds) for batch in BATCHES}
            for part in parts
        }
        for device in devices
    }
