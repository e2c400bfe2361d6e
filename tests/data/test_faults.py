"""Generation that is disturbed: a lost worker, a full or read-only disk, a manifest that is cut, another's cluster.

The slow and violent ones (Ray nodes, drivers, real disks) are in experiments/generation_faults.py.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.generate import generate
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.verify import repair, verify
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


@pytest.mark.parametrize("cut", [0, 1, 300, -40])
def test_a_manifest_that_is_cut(cut: int, small_dataset: Dataset, tmp_path: Path) -> None:
    """Whoever opens it is told; no call takes the folder for another dataset's or an empty one."""
    out = Path(shutil.copytree(small_dataset.path, tmp_path / "d"))
    file = out / "manifest.json"
    file.write_bytes(file.read_bytes()[:cut])
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    for call in (open_dataset, verify, repair, lambda folder: generate_local(SPEC, folder)):
        with pytest.raises(
            DatasetError, match=r"^\S+manifest.json is not a dataset's manifest; [^\n]*into a new folder$"
        ):
            call(out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_read_only_folders(small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is written to, and a dataset that lies in one is read: its decoded frames go below the user's folder."""
    out = Path(shutil.copytree(small_dataset.path, tmp_path / "d", ignore=shutil.ignore_patterns(".decoded")))
    before = sorted(out.iterdir())
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path / "home"))
    with pytest.raises(DatasetError, match=r"^cannot write to /proc/data \([^\n]*give another --out$"):
        generate_local(SPEC, "/proc/data")  # not even root may make folders there
    access = os.access  # which is how root, whom no permission stops, is told
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(out)) and access(path, mode))
    with pytest.raises(DatasetError, match=r"^cannot write to [^\n]*no permission to write there"):
        generate_local(SPEC, out)
    np.testing.assert_array_equal(open_dataset(out).frames("test"), small_dataset.frames("test"))
    assert sorted(out.iterdir()) == before
    assert len(list((tmp_path / "home").rglob("test-*.npy"))) == 1


def test_a_disk_without_room_for_decoded_frames(
    small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told before, by what is free, or when a write fails; nothing half-decoded is taken for frames."""
    out = Path(shutil.copytree(small_dataset.path, tmp_path / "d", ignore=shutil.ignore_patterns(".decoded")))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DatasetError, match=r"^cannot write decoded frames to [^\n]*No space left[^\n]*make room"):
            open_dataset(out).frames("test")
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000))
        with pytest.raises(DatasetError, match=r"^decoding 51 frames takes [^\n]*make room there$"):
            open_dataset(out).frames("test")
    assert not list((out / ".decoded").iterdir())
    np.testing.assert_array_equal(open_dataset(out).frames("test"), small_dataset.frames("test"))


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
