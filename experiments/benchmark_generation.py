"""How fast are balanced frames made, and how does that compare with the original and with the engine itself?

Shows: balanced, exactly labelled frames/s of 1 and 2 Ray workers (steady; start-up apart) and of one process without
       Ray, beside the original's two generators, written anew in its spirit, and raw procgen stepping, in one run.
Run:   pip install 'opencv-python-headless<4.12' && python experiments/benchmark_generation.py    (about 4 minutes)

The rows are measured in turn, `--rounds` times over, so that a busy machine hits all alike; rates are medians over the
rounds, ratios the medians of each round's own ratio.
"Steady" is the time from the end of the first chunk of each worker to the end of the last.
The original's basic generator: for each sample a new single-level environment, 10 random moves. Its balanced one: draw
one of 14 cases, then new levels and 10 random moves until template matching finds the wanted element (for the 7 cases
without: no key and no lock). Both render 512x512 pictures at every step, on which the matching is done; the templates
are cut from such pictures at run time.
"""

# What came out (23 Nov 2026, 3 rounds, 2 cores of an Intel Xeon, Python 3.11.7, load average 1.3-2.0 before the rows)
# stands in docs/data.md.
#
# One core makes a frame in 84 us, the engine steps one in 22. Of the 84, 36 are set_state (half of it the engine's
# drawing), 20 Parquet with zstd, 9 the hash of the content, 6 the levels, which are worked out from their seeds for 63
# levels at once instead of being read from the engine, and 5 the choice of strata and poses. Ratios are medians of each
# round's own ratio. The factor over the original has the original's own spread: its balanced generator made 2.2 to 3.2
# samples/s here.

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from processes import machine, table

from heist_encoders.constants import TRAIN_LEVELS
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.shards import make_shard
from heist_encoders.data.storage import Storage
from heist_encoders.tasks.heist.elements import ELEMENTS, STRATA

THRESHOLD = 0.9


# ------------------------------------------------------------------------------------- the original's two generators


def walk(level: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The frame after 10 random moves in a new environment, uint8 (64, 64, 3), and its rendering (512, 512, 3)."""
    from procgen import ProcgenGym3Env

    env = ProcgenGym3Env(num=1, env_name="heist", distribution_mode="memory", use_backgrounds=False, num_levels=1,
                         start_level=level, num_threads=0, render_mode="rgb_array")  # fmt: skip
    for _ in range(10):
        env.act(np.array([rng.integers(15)], dtype=np.int32))
        env.observe()
    frame, large = env.observe()[1]["rgb"][0].copy(), env.get_info()[0]["rgb"].copy()
    env.close()
    return frame, large


def cut_templates() -> dict[str, np.ndarray]:
    """A picture of each element, cut from a large rendering in which it is whole in view."""
    from heist_encoders.data.play import Play
    from heist_encoders.engine import Engine
    from heist_encoders.tasks.heist.projection import HALF_SIZES
    from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, parse_state

    found: dict[str, np.ndarray] = {}
    with Engine(8, render=True) as engine:
        play = Play(engine, TRAIN_LEVELS, "oracle", np.random.default_rng(1))
        while len(found) < len(ELEMENTS):
            play.step()
            large = engine.render_frames()
            for game in np.flatnonzero(~play.fresh):
                state = parse_state(engine.get_state(int(game)))
                cx, cy, _ = state.agent
                for first, kind in ((0, KEY), (3, DOOR), (6, EXIT)):
                    for color, (x, y) in state.positions(kind).items():
                        rx, ry = HALF_SIZES[first + color]
                        left, top = round((x - rx - cx + 4) * 64), round((cy + 4 - y - ry) * 64)
                        right, bottom = left + round(2 * rx * 64), top + round(2 * ry * 64)
                        if min(left, top) >= 0 and max(right, bottom) <= 512:
                            found.setdefault(ELEMENTS[first + color], large[game, top:bottom, left:right].copy())
    return found


def original_basic(seconds: float, seed: int) -> float:
    rng = np.random.default_rng(seed)
    walk(0, rng)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        walk(int(rng.integers(TRAIN_LEVELS.stop)), rng)
        count += 1
    return count / (time.perf_counter() - start)


def original_balanced(seconds: float, seed: int) -> float:
    import cv2

    cv2.setNumThreads(1)
    templates = cut_templates()
    rng = np.random.default_rng(seed)

    def shows(large: np.ndarray, element: str) -> bool:
        return bool(cv2.matchTemplate(large, templates[element], cv2.TM_CCOEFF_NORMED).max() >= THRESHOLD)

    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        case = STRATA[rng.integers(len(STRATA))]
        while True:
            _, large = walk(int(rng.integers(TRAIN_LEVELS.stop)), rng)
            if case in ELEMENTS:
                if shows(large, case):
                    break
            elif not any(shows(large, element) for element in ELEMENTS[:6]):
                break
        count += 1
    return count / (time.perf_counter() - start)


# ---------------------------------------------------------------------------------------------- the engine by itself


def stepping(seconds: float, seed: int) -> float:
    """Frames/s of 64 games of procgen under random moves, in this process."""
    from procgen import ProcgenGym3Env

    env = ProcgenGym3Env(num=64, env_name="heist", distribution_mode="memory", use_backgrounds=False, num_threads=0,
                         rand_seed=seed)  # fmt: skip
    rng = np.random.default_rng(seed)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.act(rng.integers(0, 15, 64, dtype=np.int32))
        env.observe()
        count += 64
    return count / (time.perf_counter() - start)


def stepping_two(seconds: float, seed: int) -> float:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(stepping, [(0.1, 0), (0.1, 1)])
        return sum(pool.starmap(stepping, [(seconds, seed), (seconds, seed + 1)]))


# ------------------------------------------------------------------------------------------------------ this package


def without_ray(seconds: float, seed: int) -> float:
    """Balanced frames/s of ``make_shard`` (draw, compress, hash, write, flush) in this process."""
    with tempfile.TemporaryDirectory() as folder:
        spec = DatasetSpec(size=10**6, seed=seed)
        chunks = iter(spec.chunks())
        storage = Storage(folder)
        make_shard(spec, next(chunks), storage)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            count += make_shard(spec, next(chunks), storage)[0].rows
        return count / (time.perf_counter() - start)


def with_ray(workers: int, size: int, seed: int) -> dict[str, float]:
    """One ``generate`` in a process of its own, as the command does it: steady frames/s, start-up, bytes a frame."""
    code = (
        "import json, sys, time, pathlib\n"
        "begin = time.perf_counter()\n"
        "from heist_encoders.data.generate import generate\n"
        "from heist_encoders.data.manifest import DatasetSpec\n"
        "workers, size, seed, out = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]\n"
        "marks = []\n"
        "generate(DatasetSpec(size=size, seed=seed), out, workers=workers,\n"
        "         progress=lambda done, total, words: marks.append((time.perf_counter(), done)))\n"
        "end = time.perf_counter()\n"
        "(t0, n0), (t1, n1) = marks[workers - 1], marks[-1]\n"
        "files = sum(f.stat().st_size for f in pathlib.Path(out).glob('*') if f.is_file())\n"
        "print(json.dumps({'rate': (n1 - n0) / (t1 - t0), 'startup': t0 - begin, 'whole': size / (end - begin),\n"
        "                  'bytes': files / size}))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, str(workers), str(size), str(seed), str(Path(folder) / "d")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row of one process")
    parser.add_argument("--balanced-seconds", type=float, default=15.0, help="of the original's balanced generator")
    parser.add_argument("--size", type=int, default=40_000, help="frames of each run with Ray")
    options = parser.parse_args()
    seconds = options.seconds
    rows: dict[str, Callable[[int], float]] = {
        "original, basic": lambda seed: original_basic(seconds, seed),
        "original, balanced": lambda seed: original_balanced(options.balanced_seconds, seed),
        "raw stepping, 1 process": lambda seed: stepping(seconds, seed),
        "raw stepping, 2 processes": lambda seed: stepping_two(seconds, seed),
        "balanced, 1 process without Ray": lambda seed: without_ray(seconds, seed),
    }
    found: dict[str, list[float]] = {name: [] for name in rows}
    runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    loads = []
    for seed in range(options.rounds):
        for name, measure in rows.items():
            loads.append(os.getloadavg()[0])
            found[name].append(measure(seed))
            print(f"round {seed + 1}: {name}: {found[name][-1]:,.1f} frames/s", file=sys.stderr)
        for workers, results in runs.items():
            results.append(with_ray(workers, options.size, seed))
            print(f"round {seed + 1}: {workers} workers: {results[-1]}", file=sys.stderr)
    for workers, results in runs.items():
        found[f"balanced, {workers} Ray worker{'s' * (workers > 1)}, steady"] = [result["rate"] for result in results]
    median = {name: statistics.median(values) for name, values in found.items()}
    slow = median["original, balanced"]
    load = f"load average before the rows {min(loads):.1f}-{max(loads):.1f}"
    print(f"{options.rounds} rounds, medians. {machine()}; {load}\n")
    rates = [
        [name, f"{median[name]:,.1f}", f"{min(values):,.1f}-{max(values):,.1f}", f"{median[name] / slow:,.0f}"]
        for name, values in found.items()
    ]
    print(table(["generator", "frames/s", "lowest-highest", "x original balanced"], rates))

    def ratio(one: str, other: str) -> str:
        """Median over the rounds, each of which hits both alike."""
        return f"{statistics.median(a / b for a, b in zip(found[one], found[other], strict=True)):,.3f}"

    with_1, with_2 = (f"balanced, {name}, steady" for name in ("1 Ray worker", "2 Ray workers"))
    startup = " and ".join(f"{statistics.median(run['startup'] for run in runs[w]):.1f} s" for w in runs)
    bars = [
        ["2 workers / original's balanced rate", ratio(with_2, "original, balanced"), "3,000"],
        ["2 workers / raw stepping in 2 processes", ratio(with_2, "raw stepping, 2 processes"), "0.25"],
        [
            "1 process without Ray / raw stepping in 1 process",
            ratio("balanced, 1 process without Ray", "raw stepping, 1 process"),
            "0.25",
        ],
        ["2 workers / 1 worker (idle machine)", ratio(with_2, with_1), "1.7"],
        ["bytes a frame on disk, with labels, manifest and card", f"{runs[2][0]['bytes']:,.0f}", "at most 1,000"],
        ["start-up until the first chunks are done, 1 and 2 workers", startup, "-"],
    ]
    print()
    print(table(["", "measured", "wanted"], bars))


if __name__ == "__main__":
    main()
