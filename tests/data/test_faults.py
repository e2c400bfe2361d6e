"""Generation that is disturbed: a lost worker, a full disk, a run on another's cluster. The slow and violent ones (Ray
nodes, drivers, real disks) are in experiments/generation_faults.py."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heist_encoders.data.dataset import Dataset
from heist_encoders.data.generate import generate
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.verify import verify
from heist_encoders.errors import DatasetError

SPEC = DatasetSpec(size=512, seed=7)


def _own_workers() -> list[int]:
    """Processes of this test's Ray that are making shards."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue

    def is_mine(pid: int) -> bool:
        while pid not in (0, os.getpid()):
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return [pid for pid, title in titles.items() if title.startswith(b"ray::_Worker") and is_mine(pid)]


def test_a_killed_worker_is_replaced(ray_local: None, tmp_path: Path) -> None:
    spec = DatasetSpec(size=6_000, seed=3)
    killed: list[int] = []

    def kill_once(done: float, total: float, words: str) -> None:
        if not killed:
            killed.extend(_own_workers()[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    data = generate(spec, tmp_path / "ray", workers=2, progress=kill_once)
    assert len(killed) == 1
    assert data.hash == generate_local(spec, tmp_path / "calm").hash
    assert verify(tmp_path / "ray") == []


@pytest.mark.parametrize("call", range(1, 7))
def test_full_disk(call: int, small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever write the disk is full at: one line, nothing half-written, and the same hash once there is room."""
    calls, flush = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match=r"^cannot write .*No space left on device.*make room there[^\n]*$"):
        generate_local(SPEC, tmp_path / "d")
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "d").iterdir() if path.name.startswith(".")]
    assert generate_local(SPEC, tmp_path / "d").hash == small_dataset.hash
    assert verify(tmp_path / "d") == []


def test_a_full_disk_under_ray_is_one_line(ray_local: None, tmp_path: Path) -> None:
    """A worker's failure reaches the caller as it is: here, a folder where a shard has to go."""
    (tmp_path / "d" / "train-000000.parquet").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"^cannot write train-000000.parquet to [^\n]*$"):
        generate(SPEC, tmp_path / "d", workers=2)
    assert not list((tmp_path / "d").glob(".writing*"))


def test_command_line_on_a_running_cluster(ray_local: None, small_dataset: Dataset, tmp_path: Path) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    options = ["--size", "512", "--seed", "7", "--workers", "2", "--address", address, "--json"]
    command = [sys.executable, "-m", "heist_encoders.cli.main", "generate", "--out", str(tmp_path / "d"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hash"] == small_dataset.hash
