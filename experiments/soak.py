"""Does anything grow? Generation, an encoding environment and PPO, again and again in one process and one Ray.

Shows: memory of the driver and all that it started, the driver's own memory and what of it is in use, open files,
       threads, processes and the object store's content, sampled every few seconds; for each the slope over the rounds'
       least values (what is left when the work is done) with a 95% interval, by least squares and by Theil and Sen.
Run:   python experiments/soak.py --minutes 20     (writes docs/soak.md and docs/soak.png; exit status 1 if it grows)

What leaks, leaks when something is made and thrown away: environments, encoders, algorithms, workers, datasets. So a
round is small (seconds), and 20 minutes have as many rounds as 8 hours of rounds 24 times as long.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import dataclasses
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from processes import Watch, descendants, machine, memory, table, title
from scipy import stats

DOCS = Path(__file__).resolve().parent.parent / "docs"
EVERY = 3.0
"""Seconds between samples."""
WARM_UP = 0.2
"""Share of the rounds that are left out of the slopes: imports, caches and pools fill."""
FEWEST = 8
"""Rounds."""
FACTOR = 24
METRICS = {
    "anonymous": ("memory of all processes (anonymous)", "MB"),
    "rss": ("memory of all processes (Rss)", "MB"),
    "driver": ("memory of the driver (Rss)", "MB"),
    "driver_malloc": ("in use in the driver, from malloc", "MB"),
    "driver_blocks": ("in use in the driver, from Python's allocator", "thousand blocks"),
    "handles": ("open files of all processes but the next", ""),
    "log_monitor": ("open files of Ray's log monitor", ""),
    "driver_handles": ("open files of the driver", ""),
    "threads": ("threads of all processes", ""),
    "driver_threads": ("threads of the driver", ""),
    "processes": ("processes", ""),
    "objects": ("object store in use", "MB"),
    "files": ("files in the temporary folder", ""),
}
ARENAS = "MALLOC_ARENA_MAX"
"""Without it glibc fills one of its many arenas after the other, for more rounds than are left out as warming up."""
BOUNDED = ("log_monitor",)
"""What Ray itself fills up to a limit: its log monitor keeps files of ended workers open until there are 200."""


# The slopes


@dataclasses.dataclass(frozen=True)
class Slope:
    """Growth a round.

    Attributes:
        start: mean of the first third of the rounds.
        mean, low, high: least squares, with its 95% interval.
        robust_low, robust_high: the 95% interval of Theil and Sen.
        rounds: number of them.
    """

    start: float
    mean: float
    low: float
    high: float
    robust_low: float
    robust_high: float
    rounds: int

    @property
    def grows(self) -> bool:
        """Whether both intervals lie above zero, and it is 1% or more over all rounds."""
        return self.low > 0 and self.robust_low > 0 and self.mean * self.rounds >= 0.01 * self.start


def slope(values: list[float]) -> Slope:
    """The slope of one value a round, at least 4 of them."""
    y = np.asarray(values, float)
    x = np.arange(len(y), dtype=float)
    start = float(y[: max(1, len(y) // 3)].mean())
    if np.ptp(y) == 0:
        return Slope(start, 0.0, 0.0, 0.0, 0.0, 0.0, len(y))
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(y) - 2) * line.stderr)
    robust = stats.theilslopes(y, x, 0.95)
    return Slope(
        start,
        float(line.slope),
        float(line.slope) - half,
        float(line.slope) + half,
        float(robust.low_slope),
        float(robust.high_slope),
        len(y),
    )


def by_round(rounds: list[int], values: list[float], warm_up: float = WARM_UP) -> list[float]:
    """The least of each whole round's samples, without the first rounds and the last, which may be cut.

    A mean would also tell how long a round's stages took, which on a shared machine differs.
    """
    numbers = sorted(set(rounds))[:-1]
    numbers = numbers[int(len(numbers) * warm_up) :]
    return [min(v for r, v in zip(rounds, values, strict=True) if r == number) for number in numbers]


# The samples


class Sampler(Watch):
    """Looks at the process tree every few seconds and writes down what it sees.

    Args:
        file: a CSV with a line a sample.
        temporary: the folder whose files are counted.
    """

    def __init__(self, file: Path, temporary: Path) -> None:
        super().__init__(EVERY)
        self.round = 0
        self.rows: list[dict[str, float]] = []
        self._file, self._temporary = file, temporary
        self._begin = time.monotonic()

    def look(self) -> None:
        """One more sample."""
        row = {"round": self.round, "seconds": time.monotonic() - self._begin, **self._sample()}
        with self._file.open("a" if self.rows else "w", newline="") as file:
            writer = csv.DictWriter(file, ["round", "seconds", *METRICS])
            if not self.rows:
                writer.writeheader()
            writer.writerow(row)
        self.rows.append(row)

    def _sample(self) -> dict[str, float]:
        pids = descendants(os.getpid())
        total, own = memory(pids), memory([os.getpid()])
        monitors = [pid for pid in pids if "log_monitor.py" in title(pid)]
        return {
            "anonymous": total["Anonymous"],
            "rss": total["Rss"],
            "driver": own["Rss"],
            "driver_malloc": _allocated(),
            "driver_blocks": sys.getallocatedblocks() / 1000,
            "handles": sum(_handles(pid) for pid in pids if pid not in monitors),
            "log_monitor": sum(_handles(pid) for pid in monitors),
            "driver_handles": _handles(os.getpid()),
            "threads": sum(_threads(pid) for pid in pids),
            "driver_threads": _threads(os.getpid()),
            "processes": len(pids),
            "objects": _object_store(),
            # Without the logs that Ray keeps of each process until it is shut down.
            "files": sum(len(files) for at, _, files in os.walk(self._temporary) if "/ray/session_" not in at),
        }


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc's <malloc.h>: ten sizes, of which two count here."""

    _fields_ = (
        ("others", ctypes.c_size_t * 4),
        ("hblkhd", ctypes.c_size_t),
        ("old", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),
        ("free", ctypes.c_size_t * 2),
    )


def _allocated() -> float:
    """MB that this process has from malloc and has not freed, in all arenas and in mappings of their own."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return (found.uordblks + found.hblkhd) / 1e6


def _handles(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _object_store() -> float:
    """MB."""
    import ray

    name = "object_store_memory"
    return (ray.cluster_resources().get(name, 0.0) - ray.available_resources().get(name, 0.0)) / 1e6


# The work


def generation(folder: Path, number: int) -> None:
    """A dataset by a Ray worker, read, decoded and thrown away."""
    from heist_encoders import DatasetSpec, generate

    data = generate(DatasetSpec(size=3_000, seed=number), folder / "data", workers=1)
    data.frames("train")[::100].sum()
    shutil.rmtree(folder / "data")


def environment(folder: Path, number: int) -> None:
    """Vector and single environments that encode."""
    from heist_encoders.envs import make_env, make_vector_env

    rng = np.random.default_rng(number)
    games = make_vector_env("conv_maxpool", num_envs=32, actions="moves")
    games.reset(seed=number)
    for _ in range(100):
        games.step(rng.integers(0, 9, 32))
    games.close()
    game = make_env("vae_alex", actions="moves")
    game.reset(seed=number)
    for _ in range(50):
        *_, terminated, truncated, _ = game.step(int(rng.integers(0, 9)))
        if terminated or truncated:
            game.reset()
    game.close()


def ppo(folder: Path, number: int) -> None:
    """PPO with an env runner of its own: made, trained, saved; then resumed in the driver alone, and thrown away."""
    from heist_encoders.rllib import ppo_config, train_ppo

    for steps, runners in ((256, 1), (512, 0)):
        config = ppo_config("conv_maxpool", num_envs=8, num_env_runners=runners, seed=number)
        config.training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=1)
        train_ppo(config, steps=steps, out=folder / "ppo")
    shutil.rmtree(folder / "ppo")


WORK: dict[str, Callable[[Path, int], None]] = {"generation": generation, "environments": environment, "PPO": ppo}


# The page

PAGE = """# Hours under load

`python experiments/soak.py --minutes {minutes}` makes and throws away, again and again in one process with one Ray: a
dataset of 3,000 frames, a vector of 32 and a single encoding environment, and a PPO run with an env runner that is
trained, saved, stopped and resumed. Rounds are small: these {minutes} minutes have as many ({rounds}) as {hours} hours
with rounds {factor} times as long. `MALLOC_ARENA_MAX` was {arenas}, see below.

Slopes are over {used} rounds, the first fifth left out; a round counts with its least value, which is what
the work left behind. What grows has both intervals above zero, and grows by 1% or more over the run.
Ray's log monitor keeps the log files of ended workers open, 200 at most.

{table}

![memory, open files, threads, processes and the object store over the run](soak.png)

The machine was shared with other work, so that the length of rounds varies. {machine}.
"""

BY_HAND = "\n## What grows"
"""What the page has from here on stays as it is."""


def plot(rows: list[dict[str, float]], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = ("anonymous", "driver", "driver_malloc", "handles", "threads", "objects")
    minutes = [row["seconds"] / 60 for row in rows]
    rounds = [int(row["round"]) for row in rows]
    numbers = sorted(set(rounds))[:-1]
    numbers = numbers[int(len(numbers) * WARM_UP) :]
    middles = [float(np.mean([m for m, r in zip(minutes, rounds, strict=True) if r == n])) for n in numbers]
    figure, axes = pyplot.subplots(2, 3, figsize=(14, 6.5), sharex=True, layout="constrained")
    for axis, name in zip(axes.flat, shown, strict=True):
        values = [row[name] for row in rows]
        axis.plot(minutes, values, color="#BBBBBB", linewidth=0.8, label=f"samples, every {EVERY:g} s")
        means = by_round(rounds, values)
        axis.plot(middles, means, ".", color="#0072B2", label="least of a round")
        line = np.polyfit(middles, means, 1)
        axis.plot(middles, np.polyval(line, middles), color="#D55E00", label="least squares")
        what, unit = METRICS[name]
        axis.set(title=what + (f", {unit}" if unit else ""), ylim=(0, max(1.0, *values) * 1.15))
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("minutes")
    axes[0, 0].legend(frameon=False, loc="lower right")
    figure.savefig(out, dpi=100)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def page(slopes: dict[str, Slope], rows: list[dict[str, float]], rounds: int, minutes: float) -> str:
    lines = []
    for name, found in slopes.items():
        what, unit = METRICS[name]
        lines.append(
            [
                what + (f", {unit}" if unit else ""),
                number(found.start),
                number(max(row[name] for row in rows)),
                f"{found.mean:+.3g} ({found.low:+.3g} to {found.high:+.3g})",
                f"{found.robust_low:+.3g} to {found.robust_high:+.3g}",
                f"{found.mean * found.rounds / found.start:+.1%}" if found.start else "0%",
                "no growth" if not found.grows else "up to Ray's limit" if name in BOUNDED else "grows",
            ]
        )
    first = next(iter(slopes.values()))
    head = ["", "at first", "most", "slope a round (95%)", "Theil and Sen (95%)", "over the run", ""]
    return PAGE.format(
        minutes=f"{minutes:.0f}",
        hours=f"{minutes * FACTOR / 60:.0f}",
        factor=FACTOR,
        rounds=rounds,
        used=first.rounds,
        table=table(head, lines),
        arenas=os.environ[ARENAS],
        machine=machine(),
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of soak.md and soak.png")
    parser.add_argument("--samples", type=Path, help="a CSV file for all samples; they are not kept by default")
    options = parser.parse_args()
    if ARENAS not in os.environ:  # glibc looks as a process starts
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, ARENAS: "2"})
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("RAY_worker_niceness", "0")
    from heist_encoders.ray_session import start_ray

    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    os.environ["TMPDIR"] = str(folder)
    os.environ["HEIST_ENCODERS_HOME"] = str(folder / "home")
    tempfile.tempdir = None
    try:
        start_ray(cpus=2)
        end = time.monotonic() + options.minutes * 60
        done = 0
        with Sampler(options.samples or folder / "samples.csv", folder) as sampler:
            while time.monotonic() < end:
                sampler.round = done
                for name, work in WORK.items():
                    began = time.monotonic()
                    work(folder, done)
                    print(f"round {done}: {name} {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
                done += 1
            sampler.round = done
            time.sleep(2 * EVERY)
    finally:
        import ray

        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    if done < FEWEST:
        raise SystemExit(f"{done} rounds say nothing of growth; expected at least {FEWEST}: give more --minutes")
    rows = sampler.rows
    rounds = [int(row["round"]) for row in rows]
    slopes = {name: slope(by_round(rounds, [row[name] for row in rows])) for name in METRICS}
    text = page(slopes, rows, done, options.minutes)
    file = options.out / "soak.md"
    written = file.read_text().partition(BY_HAND) if file.exists() else ("", "", "")
    file.write_text(text + "".join(written[1:]))
    plot(rows, options.out / "soak.png")
    print(text)
    return 1 if any(found.grows for name, found in slopes.items() if name not in BOUNDED) else 0


if __name__ == "__main__":
    sys.exit(main())
