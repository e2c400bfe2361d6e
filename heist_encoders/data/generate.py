"""Generate a dataset with Ray workers, on one machine or a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from heist_encoders.data.card import write_card
from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.manifest import Chunk, DatasetSpec, Shard
from heist_encoders.data.shards import look, make_shard, prepare, write_manifest
from heist_encoders.data.storage import Storage
from heist_encoders.errors import ConfigError, DatasetError
from heist_encoders.json_text import JsonObject
from heist_encoders.ray_session import actor_class, quiet_ray
from heist_encoders.tasks.base import STRATUM
from heist_encoders.tasks.registry import task_of

Progress = Callable[[float, float, str], None]
"""Called with frames done, frames in all, and the rest in words: frames/s, workers, frames a stratum so far."""

_IN_FLIGHT = 2
"""Chunks a worker has at hand: the one it makes and the next. More would only fill memory."""
_MANIFEST_EVERY_S, _MANIFEST_SHARE = 1.0, 0.05
"""How often the manifest is written, and in which share of the time at most: a billion frames are a million entries."""
_LAST_SHARDS_S = 5.0
"""How long a failed or interrupted run waits for the shards that are being made."""


class _Worker:
    """Makes shards. Holds nothing, so a replaced one goes on where the lost one was."""

    def __init__(self, spec: JsonObject, location: str) -> None:
        self._spec = DatasetSpec.from_dict(spec)
        self._storage = Storage(location)

    def make(self, chunk: Chunk) -> tuple[Chunk, Shard | str, list[int]]:
        """Make one shard; returns it, or the line that says why not, and its counts by stratum."""
        try:
            shard, rows = make_shard(self._spec, chunk, self._storage)
        except DatasetError as error:
            return chunk, str(error), []
        counts: list[int] = []
        if STRATUM in rows.labels:
            strata = rows.labels[STRATUM].astype(np.int64) + 1
            counts = np.bincount(strata, minlength=len(task_of(self._spec.game).strata) + 1)[1:].tolist()
        return chunk, shard, counts


def generate(
    spec: DatasetSpec | JsonObject,
    out: str | Path,
    *,
    workers: int | None = None,
    address: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Generate what is missing of a dataset. The same spec gives the same content, whoever makes which chunk.

    Uses the Ray that is running in this process, or joins the cluster at ``address``, or starts a local one for the
    duration. Can be killed at any point and called again.

    Args:
        spec: what to generate.
        out: folder (on a cluster: one that all nodes share) or a URI that pyarrow's filesystems open.
        workers: worker processes, one CPU each; None: one for each CPU.
        address: a Ray cluster, such as ``auto`` or ``ray://host:10001``.
        progress: called about once a chunk of 1,008 frames.

    Raises:
        DatasetError: if ``out`` holds another dataset or cannot be written to.
        ResourceError: if the running Ray has fewer CPUs than ``workers``.

    Examples:
        >>> spec = heist_encoders.DatasetSpec(size=100, distribution_mode="easy", seed=1)
        >>> data = heist_encoders.generate(spec, "data/easy", workers=1)
        >>> len(data), len(data.labels("test"))
        (100, 10)
    """
    if isinstance(spec, dict):
        spec = DatasetSpec.from_dict(spec)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers = {workers}: expected at least 1")
    storage = Storage(out)
    manifest = look(spec, storage)
    todo = [chunk for chunk in spec.chunks() if chunk.file not in manifest.shards]
    if todo:
        with quiet_ray(workers, address) as cpus:
            manifest = prepare(spec, storage)  # not before there is somebody to make the shards
            count = max(1, min(workers or cpus, len(todo)))
            location = storage.uri if storage.path is None else str(storage.path)
            due = time.monotonic() + _MANIFEST_EVERY_S
            display = _Display(spec, sum(s.rows for s in manifest.shards.values()), count, progress)
            try:
                for chunk, shard, strata in _shards(spec, location, todo, count):
                    manifest.shards[chunk.file] = shard
                    if (begun := time.monotonic()) > due:
                        write_manifest(storage, manifest)
                        due = begun + max(_MANIFEST_EVERY_S, (time.monotonic() - begun) / _MANIFEST_SHARE)
                    display.add(chunk.rows, strata)
            finally:  # of workers that were lost or stopped in the middle of a shard
                storage.remove_temporaries()
        write_manifest(storage, manifest)
    dataset = open_dataset(out)
    write_card(dataset, storage)
    return dataset


def _shards(
    spec: DatasetSpec, location: str, todo: list[Chunk], count: int
) -> Iterator[tuple[Chunk, Shard, list[int]]]:
    """Yield (chunk, shard, counts by stratum) as workers finish them."""
    import ray

    options: dict[str, Any] = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": -1}
    worker = actor_class(_Worker).options(scheduling_strategy="SPREAD", **options)
    workers: list[Any] = [worker.remote(spec.to_dict(), location) for _ in range(count)]
    waiting = iter(todo)
    running: dict[Any, Any] = {}

    def give(actor: Any) -> None:
        chunk = next(waiting, None)
        if chunk is not None:
            running[actor.make.remote(chunk)] = actor

    try:
        for _ in range(_IN_FLIGHT):
            for actor in workers:
                give(actor)
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            actor = running.pop(done)
            chunk, shard, strata = ray.get(done)
            if isinstance(shard, str):
                raise DatasetError(shard)
            give(actor)
            yield chunk, shard, strata
    finally:
        if running:  # something went wrong: let the workers finish what they are writing
            ray.wait(list(running), num_returns=len(running), timeout=_LAST_SHARDS_S)
        for actor in workers:
            ray.kill(actor)


class _Display:
    """Turns finished chunks into progress calls."""

    def __init__(self, spec: DatasetSpec, done: int, workers: int, progress: Progress | None) -> None:
        self._total, self._done, self._workers, self._progress = spec.size, done, workers, progress
        self._strata = np.zeros(len(task_of(spec.game).strata), np.int64)
        self._fresh = 0
        self._started: float | None = None

    def add(self, rows: int, strata: list[int]) -> None:
        self._done += rows
        if strata:
            self._strata += strata
        now = time.monotonic()
        if self._started is None:  # the first chunk's time is mostly start-up
            self._started = now
        else:
            self._fresh += rows
        if self._progress is None:
            return
        rate = self._fresh / (now - self._started) if self._fresh else 0.0
        words = [f"{self._done:,} of {self._total:,} frames"]
        if rate:
            words.append(f"{rate:,.0f} frames/s")
        words.append(f"{self._workers} workers")
        if self._strata.any():
            words.append(f"{self._strata.min():,}-{self._strata.max():,} of each stratum")
        self._progress(self._done, self._total, ", ".join(words))
