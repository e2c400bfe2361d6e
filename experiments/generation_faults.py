"""Generation under faults: does the dataset come out the same, bit for bit, and does nothing else stay behind?

Shows: the hash of a dataset whose making was disturbed (a worker, the driver, a Ray node killed with SIGKILL, Ctrl-C,
       a full disk, damaged shards) against the hash of the same dataset made in peace, in one process without Ray.
Run:   python experiments/generation_faults.py          (about 4 minutes on 2 cores; the full disk needs root, to mount
       a small tmpfs, and is left out with a line otherwise)
"""

# What came out (22 Nov 2026, --size 24000, 2 shared cores of an Intel Xeon, Python 3.11.7, load average 5.7 from other
# work; 4 min 12 s) stands in docs/data.md.
#
# The line of the full disk: "error: cannot write train-000006.parquet to DIR (No space left on device); make room there
# and run the same command again".

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import descendants, machine, table, title

from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.verify import repair, verify

COMMAND = [sys.executable, "-m", "heist_encoders.cli.main"]


class Run:
    """One ``heist-encoders generate`` of the dataset, as a user starts it."""

    def __init__(self, size: int, out: Path, *more: str) -> None:
        self.out = out
        options = ["--out", str(out), "--size", str(size), "--seed", "11", "--json", "--workers", "2", *more]
        self.process = subprocess.Popen(
            [*COMMAND, "generate", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for_shards(self, count: int) -> int:
        """Until so many shards are there; returns their number."""
        while (done := len(list(self.out.glob("t*.parquet")))) < count:
            if self.process.poll() is not None:
                raise SystemExit(f"ended too early: {self.process.stderr.read()[-2000:]}")  # type: ignore[union-attr]
            time.sleep(0.02)
        return done

    def worker(self) -> int:
        """The process of a worker that is making a shard."""
        while True:
            for pid in descendants(self.process.pid):
                if title(pid).startswith("ray::_Worker.make"):
                    return pid
            time.sleep(0.01)

    def end(self) -> tuple[int, str, list[str]]:
        """Exit status, hash (or ""), lines on stderr."""
        out, err = self.process.communicate()
        found = json.loads(out)["hash"] if self.process.returncode == 0 else ""
        return self.process.returncode, found, err.splitlines()


def strays(folder: Path) -> list[str]:
    """Files that are not part of a whole dataset."""
    return [line for line in verify(folder) if "does not belong" in line]


def kill_worker(size: int, out: Path) -> tuple[str, str]:
    run = Run(size, out)
    done = run.wait_for_shards(4)
    os.kill(run.worker(), signal.SIGKILL)
    status, found, _ = run.end()
    return f"{done} shards done; the run went on, exit {status}", found


def _stop_driver(size: int, out: Path, how: signal.Signals) -> tuple[str, str]:
    run = Run(size, out)
    done = run.wait_for_shards(4)
    started = descendants(run.process.pid)
    run.process.send_signal(how)
    status, _, lines = run.end()
    for _ in range(100):  # Ray's processes notice by themselves that their driver is gone
        if not any(title(pid) for pid in started):
            break
        time.sleep(0.1)
    for pid in started:
        if title(pid):
            os.kill(pid, signal.SIGKILL)
    half = [path.name for path in out.iterdir() if path.name.startswith(".writing")]
    status_again, found, _ = Run(size, out).end()
    said = f", said {lines[-1]!r}" if how == signal.SIGINT and lines else ""
    return f"{done} shards done, exit {status}{said}, {len(half)} half-written; again: exit {status_again}", found


def kill_driver(size: int, out: Path) -> tuple[str, str]:
    return _stop_driver(size, out, signal.SIGKILL)


def interrupt(size: int, out: Path) -> tuple[str, str]:
    return _stop_driver(size, out, signal.SIGINT)


def kill_node(size: int, out: Path) -> tuple[str, str]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
    )
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=10**8) for _ in range(2)]
    cluster.wait_for_nodes()
    try:
        run = Run(size, out, "--address", cluster.address)
        done = run.wait_for_shards(4)
        victim = next((node for node in nodes if _makes_shards(node)), nodes[0])
        cluster.remove_node(victim, allow_graceful=False)
        status, found, _ = run.end()
    finally:
        cluster.shutdown()
    return f"3 nodes, {done} shards done; the run went on, exit {status}", found


def _makes_shards(node: object) -> bool:
    raylets = [item.process.pid for item in node.all_processes["raylet"]]  # type: ignore[attr-defined]
    return any("ray::_Worker" in title(pid) for raylet in raylets for pid in descendants(raylet))


def full_disk(size: int, out: Path) -> tuple[str, str]:
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(out)], check=True)
    try:
        status, _, lines = Run(size, out).end()
        mistakes = [line for line in lines if line.startswith("error")]
        half = [path.name for path in out.iterdir() if path.name.startswith(".writing")]
        done = len(list(out.glob("t*.parquet")))
        subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True)
        status_again, found, _ = Run(size, out).end()
        stray = len(strays(out))
    finally:
        subprocess.run(["umount", str(out)], check=True)
    said = mistakes[-1].replace(str(out), "DIR") if mistakes else lines[-1:]
    return (
        f"{done} shards done, exit {status}, {len(mistakes)} line: {said!r}, {len(half)} half-written; room made: exit "
        f"{status_again}, {stray} stray files",
        found,
    )


def damage(size: int, out: Path) -> tuple[str, str]:
    Run(size, out).end()
    shards = sorted(out.glob("t*.parquet"))
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-100])
    content = bytearray(shards[2].read_bytes())
    content[5000] ^= 1
    shards[2].write_bytes(content)
    problems = verify(out)
    mended, made = repair(out)
    return f"{len(problems)} found by verify, {len(made)} shards made again", mended.hash


EVENTS: dict[str, Callable[[int, Path], tuple[str, str]]] = {
    "kill -9 of a worker": kill_worker,
    "kill -9 of the driver": kill_driver,
    "Ctrl-C": interrupt,
    "kill -9 of a Ray node": kill_node,
    "full disk (4 MB)": full_disk,
    "a shard gone, one cut, one altered": damage,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=30_000)
    options = parser.parse_args()
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        home = Path(folder)
        calm = generate_local(DatasetSpec(size=options.size, seed=11), home / "calm")
        rows.append(["none (one process, no Ray)", f"{len(calm.spec.chunks())} shards", calm.hash[:16], "0"])
        for number, (name, event) in enumerate(EVENTS.items()):
            if event is full_disk and os.geteuid() != 0:
                rows.append([name, "left out: needs root to mount a small tmpfs", "-", "-"])
                continue
            out = home / str(number)
            what, found = event(options.size, out)
            stray = len(strays(out)) if event is not full_disk else 0
            wrong += (found != calm.hash) + stray
            rows.append([name, what, "the same" if found == calm.hash else f"OTHER: {found[:16]}", str(stray)])
            print(rows[-1], file=sys.stderr)
    print(f"{options.size:,} balanced frames, memory mode. {machine()}\n")
    print(table(["event", "what happened", "hash", "stray files"], rows))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
