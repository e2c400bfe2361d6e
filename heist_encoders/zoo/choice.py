"""Which of the installed backends encodes an artifact faster here: measured once a machine, then remembered on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.paths import home

if TYPE_CHECKING:
    from heist_encoders.zoo.backends import Backend

FOLDER: Final = "cache/backends"
"""Where choices are kept, below the user's folder: one JSON file each, safe to delete."""

MAX_BATCH: Final = 64
"""Larger batches are measured with this many frames: from there on, time grows with the number of frames."""

_ROUNDS, _SECONDS, _TIE = 15, 0.25, 0.95
_known: dict[Path, str] = {}
"""Choices of this process, for where nothing can be written."""


def choice_key(weights: str, family: str, *, precision: str, threads: int, batch_size: int) -> dict[str, Any]:
    """What a choice depends on, as JSON values.

    Args:
        weights: SHA-256 of the artifact's weights.
        family: of its autoencoder.
        precision: ``float32`` or ``bfloat16``.
        threads: of either backend.
        batch_size: frames in a call; rounded up to a power of 2, at most 64.
    """
    import torch

    return {
        "format": 1,
        "weights": weights,
        "family": family,
        "precision": precision,
        "threads": threads,
        "batch_size": min(MAX_BATCH, 1 << (batch_size - 1).bit_length()),
        "processor": _processor(),
        "torch": str(torch.__version__),
        "openvino": importlib.metadata.version("openvino"),
    }


def choose(key: Mapping[str, Any], candidates: Mapping[str, Callable[[], Backend]]) -> str:
    """The fastest of several backends: the one on record for ``key``, else the winner of a measurement.

    The record is a file of its own, ``<home>/cache/backends/<hash of the key>.json``, written whole or not at all. Of
    processes that measure at the same time, the first to finish decides for all. A record that cannot be read is
    replaced; where nothing can be written, the choice holds for this process.

    Args:
        key: of ``choice_key``.
        candidates: name -> what makes the backend. The first one wins a tie: another must be 5% faster.
    """
    text = json.dumps(key, sort_keys=True)
    file = home() / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    known = _read(file, key, candidates) or _known.get(file)
    if known is None:
        seconds = measure({name: make() for name, make in candidates.items()}, key["batch_size"], key["threads"])
        first = next(iter(candidates))
        fastest = min(seconds, key=lambda name: seconds[name])
        known = fastest if seconds[fastest] < _TIE * seconds[first] else first
        milliseconds = {name: round(1e3 * value, 4) for name, value in seconds.items()}
        record = {"backend": known, "ms_a_frame": milliseconds, "key": dict(key)}
        known = _publish(file, record, lambda: _read(file, key, candidates)) or known
    _known[file] = known
    return known


def measure(backends: Mapping[str, Backend], batch_size: int, threads: int) -> dict[str, float]:
    """Seconds a frame of each backend: the best of up to 15 rounds in turns, about a quarter of a second in all.

    The best, not the mean: whatever else runs on the machine can only slow a round down. Torch has as many threads as
    OpenVINO meanwhile.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _rounds(backends, batch_size)
    finally:
        torch.set_num_threads(before)


def _rounds(backends: Mapping[str, Backend], batch_size: int) -> dict[str, float]:
    frames = np.random.default_rng(0).integers(0, 256, (batch_size, *FRAME_SHAPE), dtype=np.uint8)
    for backend in backends.values():
        backend(frames)
    best = dict.fromkeys(backends, float("inf"))
    end = time.perf_counter() + _SECONDS
    for done in range(_ROUNDS):
        for name, backend in backends.items():
            start = time.perf_counter()
            backend(frames)
            best[name] = min(best[name], (time.perf_counter() - start) / batch_size)
        if done and time.perf_counter() > end:
            break
    return best


def _read(file: Path, key: Mapping[str, Any], candidates: Mapping[str, Any]) -> str | None:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        name = record["backend"]
        return name if record["key"] == key and name in candidates else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _publish(file: Path, record: Mapping[str, Any], read: Callable[[], str | None]) -> str | None:
    """Write a record unless another process was first; return the name that then stands there, None if none does."""
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as out:
            out.write(json.dumps(record, indent=2) + "\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, file)  # unlike a rename, it fails if the file is there
        except OSError:
            if read() is None:  # unreadable, or no hard links on this file system
                temporary.replace(file)
    except OSError:
        return None
    finally:
        if temporary.exists():
            temporary.unlink()
    return read()


def _processor() -> str:
    """The processor's name, with what torch uses of it."""
    import torch

    name = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
