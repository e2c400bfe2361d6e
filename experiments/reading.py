"""How fast does a dataset feed training, from a cold start, and with how much memory? And why this format?

Shows: 1. reading a dataset that was never opened on this machine (nothing decoded, its files out of the page cache), in
          a process of its own: frames/s of a first epoch of random batches of 128 as uint8 tensors, decoding included;
          of a later epoch; through torch's DataLoader; through Ray Data's `iter_torch_batches`; of `stream(spec)`. With
          the process's memory: what it holds (Anonymous), and what it maps of the decoded file (page cache, which the
          system takes back when it needs it).
       2. the same frames in other formats: size, writing, reading in order, random batches of 128.
Run:   python experiments/reading.py          (about 3 minutes on 2 cores)
"""

# What came out (23 Nov 2026, 60,000 frames, 2 cores of an Intel Xeon, Python 3.11.7, load average 1.5) stands in
# docs/data.md.
#
# So: fixed bytes in Parquet on disk (small, on any file system, read by anything), decoded once a machine to a memory
# map. Memory held: 271 MB, of which 166 are Python, torch and the libraries; decoding adds at most 4 x 25 MB whatever
# the size of the dataset. 350 of stream's 583 MB are the pictures that procgen loads.

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from processes import machine, table

BATCH = 128


# ------------------------------------------------------------------------------------------ one way, in one process


class Peak(threading.Thread):
    """Samples this process's memory in MB: what it holds, and what it maps of files."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.held = self.mapped = 0.0

    def run(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text().split("\n")
            for line in status:
                if line.startswith("RssAnon"):
                    self.held = max(self.held, int(line.split()[1]) / 1000)
                elif line.startswith("RssFile"):
                    self.mapped = max(self.mapped, int(line.split()[1]) / 1000)
            time.sleep(0.02)


def random_batches(folder: str, epochs: int) -> Iterator[int]:
    """What `heist_encoders.training` does: random rows of the memory map, as one uint8 tensor."""
    import torch

    from heist_encoders.data.dataset import open_dataset

    frames = open_dataset(folder).frames("train")
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(frames))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            yield len(torch.from_numpy(frames[order[start : start + BATCH]]))


def data_loader(folder: str) -> Iterator[int]:
    import torch

    from heist_encoders.data.dataset import open_dataset

    view = open_dataset(folder).torch("train")
    loader = torch.utils.data.DataLoader(view, BATCH, shuffle=True, num_workers=2)
    for frames, _ in loader:
        yield len(frames)


def ray_data(folder: str) -> Iterator[int]:
    import ray

    from heist_encoders.data.dataset import open_dataset

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    view = open_dataset(folder).ray("train")
    for batch in view.iter_torch_batches(batch_size=BATCH, prefetch_batches=4):
        yield len(batch["frame"])


def fresh(folder: str) -> Iterator[int]:
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.stream import stream

    for rows in stream(open_dataset(folder).spec, batch_size=BATCH):
        yield len(rows.frames)


WAYS: dict[str, Callable[[str], Iterator[int]]] = {
    "random batches of 128 from cold, first epoch": lambda folder: random_batches(folder, 1),
    "random batches of 128, decoded before": lambda folder: random_batches(folder, 1),
    "torch DataLoader, 2 processes, decoded before": data_loader,
    "Ray Data iter_torch_batches, start of Ray apart": ray_data,
    "stream(spec), frames made on the fly, 1 process": fresh,
}


def one(name: str, folder: str, seconds: float) -> None:
    """Measure one way and print it as JSON."""
    import torch

    torch.set_num_threads(1)
    peak = Peak()
    peak.start()
    begin = time.perf_counter()
    first = None
    count = 0
    for size in WAYS[name](folder):
        count += size
        if first is None:
            first = time.perf_counter()
        if time.perf_counter() - begin > seconds:
            break
    end = time.perf_counter()
    start = first if "Ray" in name or "stream" in name else begin
    assert first is not None
    assert start is not None
    print(json.dumps({"rate": count / (end - start), "first": first - begin, "held": peak.held, "mapped": peak.mapped}))


def forget(folder: Path) -> None:
    """Take a folder's files out of the page cache."""
    os.sync()
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


# ----------------------------------------------------------------------------------------------------- other formats


def formats(frames: np.ndarray, folder: Path) -> list[list[str]]:
    """Rows of the table of formats for uint8 (N, 64, 64, 3) frames."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = frames.reshape(len(frames), -1)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(12288), len(frames), [None, pa.py_buffer(flat)])
    listed = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), 12288)

    def write(column: pa.Array, name: str) -> None:
        table = pa.table({"frame": column})
        pq.write_table(table, folder / name, row_group_size=512, compression="zstd", use_dictionary=False)

    def whole(name: str) -> np.ndarray:
        chunks = pq.read_table(folder / name)["frame"].chunks
        parts = [np.frombuffer(c.buffers()[1], np.uint8) if name == "fixed" else c.flatten().to_numpy() for c in chunks]
        return np.concatenate(parts)

    def at_random(name: str) -> Callable[[np.ndarray], int]:
        file = pq.ParquetFile(folder / name)

        def read(rows: np.ndarray) -> int:
            groups = np.unique(rows // 512)
            table = file.read_row_groups(groups.tolist())
            return len(table.take(np.searchsorted(groups, rows // 512) * 512 + rows % 512))

        return read

    def mapped() -> Callable[[np.ndarray], int]:
        memory_map = np.load(folder / "frames.npy", mmap_mode="r")
        return lambda rows: len(memory_map[rows])

    # name, file, write all, read all, a reader of random batches
    ways: list[tuple[str, str, Callable[[], object], Callable[[], object], Callable[[], Any] | None]] = [
        (
            "Parquet, 12,288 fixed bytes, zstd", "fixed",
            lambda: write(fixed, "fixed"), lambda: whole("fixed"), lambda: at_random("fixed"),
        ),
        (
            "Parquet, list of uint8, zstd", "listed",
            lambda: write(listed, "listed"), lambda: whole("listed"), lambda: at_random("listed"),
        ),
        (
            "npz (zip)", "frames.npz",
            lambda: np.savez_compressed(folder / "frames.npz", frames=frames),
            lambda: np.load(folder / "frames.npz")["frames"], None,
        ),
        (
            "npy memory map (decoded, for training)", "frames.npy",
            lambda: np.save(folder / "frames.npy", frames), lambda: np.array(np.load(folder / "frames.npy")), mapped,
        ),
    ]  # fmt: skip
    rows = []
    rng = np.random.default_rng(0)
    for name, file, save, read, random in ways:
        start = time.perf_counter()
        save()
        written = len(frames) / (time.perf_counter() - start)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            read()
            times.append(time.perf_counter() - start)
        ordered = len(frames) / min(times)
        rate = "whole file only"
        if random is not None:
            take, count, start = random(), 0, time.perf_counter()
            while time.perf_counter() - start < 3:
                count += take(rng.permutation(len(frames))[:BATCH])
            rate = f"{count / (time.perf_counter() - start):,.0f}"
        size = (folder / file).stat().st_size / len(frames)
        rows.append([name, f"{size:,.0f}", f"{written:,.0f}", f"{ordered:,.0f}", rate])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time of one way")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], options.one[1], options.seconds)
        return
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.generate import generate
    from heist_encoders.data.manifest import DatasetSpec

    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        path = Path(folder) / "d"
        generate(DatasetSpec(size=options.size), path, workers=2)
        forget(path)
        rows = []
        for name in WAYS:
            seconds = "10" if "stream" in name else str(options.seconds)
            command = [sys.executable, __file__, "--seconds", seconds, "--one", name, str(path)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append(
                [
                    name,
                    *(f"{found['rate']:,.0f} {found['first']:.1f} {found['held']:,.0f} {found['mapped']:,.0f}").split(),
                ]
            )
            print(rows[-1], file=sys.stderr)
        head = ["way", "frames/s", "s to the first batch", "MB held", "MB mapped"]
        print(f"{options.size:,} balanced frames, memory mode, 90% of them in the train split. {machine()}\n")
        print(table(head, rows))
        frames = np.array(open_dataset(path).frames("train")[:20_000])
        compared = formats(frames, Path(folder))
        print(
            f"\n{len(frames):,} of these frames ({frames.nbytes / 1e6:,.0f} MB) by format; reads from the page cache\n"
        )
        print(table(["format", "bytes a frame", "written/s", "read in order/s", "random batches of 128/s"], compared))


if __name__ == "__main__":
    main()
