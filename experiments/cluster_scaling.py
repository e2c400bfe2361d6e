"""What a big dataset takes on a cluster, and what limits it: workers, the driver, or the storage.

Shows: three measured figures of this machine (frames/s of one core that draws, compresses and writes shards; bytes a
       frame; chunks/s that one driver hands out and enters, with workers that do nothing), the time that it takes to
       write the manifest of a billion frames, and the scaling model
       frames/s = min(cores x frames/s a core, driver's chunks/s x 1,008, storage's bytes/s / bytes a frame).
Run:   python experiments/cluster_scaling.py                    (about a minute on two cores; prints Markdown)
       python experiments/cluster_scaling.py --cores 64 512 --storage 5e9 --price 0.03
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import ray
import torch
from processes import machine, table

from heist_encoders.data import generate
from heist_encoders.data.manifest import CHUNK_FRAMES, Chunk, DatasetSpec, Manifest, Shard
from heist_encoders.data.shards import make_shard, write_manifest
from heist_encoders.data.storage import Storage
from heist_encoders.json_text import JsonObject

BILLION = 10**9


class Idle:
    """A worker that makes nothing."""

    def __init__(self, spec: JsonObject, location: str) -> None:
        self._shard = Shard(CHUNK_FRAMES, "0" * 64, "0" * 64)

    def make(self, chunk: Chunk) -> tuple[Chunk, Shard, list[int]]:
        """At once."""
        return chunk, self._shard, [0] * 14


def one_core(spec: DatasetSpec, chunks: int) -> tuple[float, float]:
    """Frames a second of processor time and bytes a frame of shards made in this process."""
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        todo = spec.chunks()[: chunks + 1]
        make_shard(spec, todo[0], storage)  # loads the engine
        started = time.process_time()
        for chunk in todo[1:]:
            make_shard(spec, chunk, storage)
        seconds = time.process_time() - started
        size = sum(path.stat().st_size for path in Path(folder).glob("*.parquet"))
    return chunks * CHUNK_FRAMES / seconds, size / (len(todo) * CHUNK_FRAMES)


def driver(chunks: int, workers: int) -> float:
    """Chunks a second that the loop of ``generate`` hands out and takes back."""
    spec = DatasetSpec(size=chunks * CHUNK_FRAMES, test_fraction=0.0)
    generate._Worker = Idle  # type: ignore[misc, assignment]
    ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        done, started = 0, 0.0
        for done, _ in enumerate(generate._shards(spec, "/nowhere", spec.chunks(), workers)):
            if done == chunks // 10:  # the workers are there
                started = time.perf_counter()
        return (done - chunks // 10) / (time.perf_counter() - started)
    finally:
        ray.shutdown()


def manifest(frames: int) -> tuple[float, float]:
    """Seconds and MB of one writing of the manifest of so many frames."""
    spec = DatasetSpec(size=frames)
    shards = {chunk.file: Shard(chunk.rows, "0" * 64, "0" * 64) for chunk in spec.chunks()}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_manifest(Storage(folder), Manifest(spec, shards))
        seconds = time.perf_counter() - started
        return seconds, next(Path(folder).glob("*.json")).stat().st_size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", default="easy", choices=["easy", "hard", "memory"])
    parser.add_argument("--cores", type=int, nargs="+", default=[16, 128, 1024])
    parser.add_argument("--storage", type=float, default=2e9, help="bytes/s that the shared storage takes in all")
    parser.add_argument("--price", type=float, default=0.0425, help="of a core, dollars an hour")
    parser.add_argument("--chunks", type=int, default=5_000, help="empty chunks for the driver's limit")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rate, size = one_core(DatasetSpec(size=50 * CHUNK_FRAMES, distribution_mode=options.mode), 20)
    entered = driver(options.chunks, 4)
    seconds, megabytes = manifest(BILLION)
    print(f"{machine()}\n")
    print(f"One core, {options.mode} mode: {rate:,.0f} frames/s, {size:.0f} bytes a frame on disk. ", end="")
    print(f"Driver: {entered:,.0f} chunks/s ({entered * CHUNK_FRAMES:,.0f} frames/s). ", end="")
    print(f"Manifest of 10^9 frames: {megabytes:.0f} MB, {seconds:.1f} s to write.\n")
    rows = []
    for cores in options.cores:
        limits = {
            "workers": cores * rate, "driver": entered * CHUNK_FRAMES, "storage": options.storage / size
        }  # fmt: skip
        limit = min(limits, key=lambda name: limits[name])
        hours = BILLION / limits[limit] / 3600
        rows.append(
            [
                f"{cores:,}",
                f"{limits[limit]:,.0f}",
                limit,
                f"{60 * hours:,.0f}",
                f"{cores * hours * options.price:,.2f}",
            ]
        )
    print(table(["cores", "frames/s", "limited by", "minutes for 10^9 frames", "dollars"], rows))
    print(f"\nStorage: {BILLION * size / 1e9:,.0f} GB in {BILLION / CHUNK_FRAMES:,.0f} files.")


if __name__ == "__main__":
    main()
