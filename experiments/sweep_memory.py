"""Memory of several trials at once, and whether two at once are faster than one after the other.

Shows: the peak memory of 4 trials at once, in Pss (pages that processes share count once): the trials share one memory
       map of the decoded frames. And the wall-clock time of the same two trials, one after the other and at once.
Run:   python experiments/sweep_memory.py --data DIR          (60,000 frames; about 10 minutes on 2 quiet cores)
"""

# What came out (2026-11-23, 2 quiet cores of a Xeon with AMX, vae_paper, memory mode, 60,000 frames):
# 4 trials at once, with --samples 16384: all processes 3,887 MB, of it the trials 3,267 MB, of that backed by files 782
# (all decoded frames: 737); the largest trial as top shows it 1,485 MB.
# The same 2 trials of 32,768 samples: one after the other 114.0 s with 1 thread and 72.3 s with 2; at once 61.2 s.
# (The times are of the commit before checkpoints were made leaner, when all processes took 4,511 MB.)

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from processes import Watch, descendants, machine, memory, table, title
from ray import tune

from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.ray_session import start_ray
from heist_encoders.tuning import SweepResult, sweep

BAR_MB = 4000


class MemoryWatch(Watch):
    """The peak memory of this process and all that it started, looked at once a second."""

    def __init__(self) -> None:
        super().__init__(every=1.0)
        self.all = self.trials = self.files = self.largest = 0.0
        self.count = 0

    def look(self) -> None:
        """See the class."""
        pids = descendants(os.getpid())
        trials = [pid for pid in pids if title(pid).startswith("ray::") and "ImplicitFunc" in title(pid)]
        each = [memory([pid]) for pid in trials]
        self.count = max(self.count, len(trials))
        self.all = max(self.all, memory(pids)["Pss"])
        self.trials = max(self.trials, sum(found["Pss"] for found in each))
        self.files = max(self.files, sum(found["Pss"] - found["Anonymous"] for found in each))
        self.largest = max([self.largest, *(found["Rss"] for found in each)])


def run(dataset: Dataset, out: Path, options: argparse.Namespace, trials: int, **how: Any) -> tuple[SweepResult, float]:
    """A sweep of ``trials`` trials of equal size, none stopped early; the seconds it took."""
    epochs = 4
    space = {
        "autoencoder": options.architecture,
        "learning_rate": tune.grid_search([1e-3 * (1 + i / 10) for i in range(trials)]),
        "batch_size": 128,
        "max_epochs": epochs,
        "epoch_samples": options.samples // epochs,
        "test_samples": 512,
    }
    start = time.monotonic()
    result = sweep(space, dataset, out=out, num_samples=1, scheduler="none", **how)
    seconds = time.monotonic() - start
    assert set(result.table["status"]) == {"done"}
    return result, seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="a dataset of heist-encoders generate; 60,000 frames for the bar")
    parser.add_argument("--architecture", "--family", default="vae_paper")
    parser.add_argument("--samples", type=int, default=32_768, help="frames that a trial trains on")
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    decoded = sum(dataset.frames(split).nbytes for split in ("train", "test")) / 1e6
    start_ray()
    cpus = int(ray.cluster_resources()["CPU"])
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        home = Path(folder)
        with MemoryWatch() as watch:
            result, _ = run(dataset, home / "four", options, 4, cpus_per_trial=cpus / 4, max_concurrent=4)
        rest = max(0.0, decoded - watch.files)
        shares = result.table["probe_share"]
        rows = []
        for name, how in (
            ("one after the other, 1 thread", {"cpus_per_trial": 1, "max_concurrent": 1}),
            (f"one after the other, {cpus} threads", {"cpus_per_trial": cpus, "max_concurrent": 1}),
            ("two at once, 1 thread each", {"cpus_per_trial": 1, "max_concurrent": 2}),
        ):
            _, seconds = run(dataset, home / str(len(rows)), options, 2, **how)
            rows.append((name, seconds))
    at_once = rows[-1][1]
    print(f"{options.architecture}, {len(dataset):,} frames, {options.samples:,} a trial. {machine()}\n")
    print(table(
        ["4 trials at once", "MB"],
        [
            ["trials seen at once", str(watch.count)],
            ["all processes: this one, Ray's, the trials (peak Pss)", f"{watch.all:,.0f}"],
            ["of it the trials", f"{watch.trials:,.0f}"],
            ["of it backed by files, the frames above all", f"{watch.files:,.0f}"],
            ["largest trial, as top shows it (Rss)", f"{watch.largest:,.0f}"],
            ["all decoded frames", f"{decoded:,.0f}"],
            ["the trials, had every frame been read", f"{watch.trials + rest:,.0f}"],
        ],
    ))  # fmt: skip
    print()
    print(table(
        ["the same 2 trials", "seconds", "two at once take"],
        [[name, f"{seconds:,.1f}", f"{at_once / seconds:.0%} of it"] for name, seconds in rows],
    ))  # fmt: skip
    print(f"\nprobes' share of a trial: {shares.min():.1%} to {shares.max():.1%}")
    fits = watch.count == 4 and watch.trials + rest < BAR_MB
    faster = all(at_once < seconds for _, seconds in rows[:-1])
    print(f"{'PASS' if fits else 'FAIL'}: {watch.count} trials at once under {BAR_MB:,} MB")
    print(f"{'PASS' if faster else 'FAIL'}: two trials at once are faster than one after the other")
    raise SystemExit(0 if fits and faster else 1)


if __name__ == "__main__":
    main()
