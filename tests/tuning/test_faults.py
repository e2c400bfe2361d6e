"""Sweeps that lose a trial's process or a whole node end as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.tuning import SweepResult, load_result, sweep
from heist_encoders.zoo import load_artifact

pytestmark = [pytest.mark.ray, pytest.mark.slow]

OPTIONS: dict[str, Any] = {
    "preset": "smoke",
    "num_samples": 2,
    "scheduler": "none",  # what ASHA stops depends on who comes first
    "train": {"params": {"channels": [8, 4], "latent_size": 8}, "test_samples": 32, "epoch_samples": 128},
    "seed": 5,
    # A report that a killed node had not sent yet is lost. By this metric the last epoch is the best in any case.
    "metric": "test_loss",
}


@pytest.fixture(scope="module")
def calm(ray_local: None, small_dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    return sweep("conv_maxpool", small_dataset, out=tmp_path_factory.mktemp("calm") / "sweep", **OPTIONS)


def outcome(result: SweepResult) -> list[dict[str, Any]]:
    """What each trial tried and what came out, in the order of the trials; no timings."""
    columns = ["trial", "status", "rank", "epoch", "samples", "test_loss"]
    return result.table.sort_values("trial")[columns + result.plan["searched"]].to_dict("records")


def checkpoints(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("*/checkpoint_*/artifact")}


def check_same(result: SweepResult, calm: SweepResult) -> None:
    assert result.finished
    assert outcome(result) == outcome(calm)
    for name in result.table["checkpoint"]:
        load_artifact(result.path / name / "artifact")  # every hash is right


def test_killed_trials_go_on_from_their_checkpoints(calm: SweepResult, small_dataset: Any, tmp_path: Path) -> None:
    killed: dict[int, set[str]] = {}
    folder = tmp_path / "sweep"

    def kill(event: Any) -> None:
        if event.kind == "result" and event.epoch == 1 and event.trial not in killed:
            killed[event.trial] = checkpoints(folder)
            os.kill(int(event.metrics["pid"]), signal.SIGKILL)

    result = sweep("conv_maxpool", small_dataset, out=folder, progress=kill, **OPTIONS)
    assert set(killed) == {0, 1}
    check_same(result, calm)
    assert set.union(*killed.values()) <= checkpoints(folder)


def test_killed_node_moves_its_trials(calm: SweepResult, small_dataset: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    script = f"""
import json, ray
from ray.cluster_utils import Cluster
from heist_encoders.tuning import sweep

node = dict(num_cpus=1, object_store_memory=10**8)
cluster = Cluster(initialize_head=True, head_node_args=dict(include_dashboard=False, **node))
victim = cluster.add_node(**node)
cluster.wait_for_nodes()
pids, lost = {{}}, []

def kill(event):
    if event.kind != "result" or event.epoch != 1 or lost:
        return
    parent = open(f"/proc/{{int(event.metrics['pid'])}}/stat").read().rpartition(")")[2].split()[1]
    if int(parent) in [process.process.pid for process in victim.all_processes["raylet"]]:
        lost.append(event.trial)
        cluster.remove_node(victim, allow_graceful=False)

sweep("conv_maxpool", {str(small_dataset.path)!r}, out={str(folder)!r}, address=cluster.address, progress=kill,
      **{OPTIONS!r})
ray.shutdown()
cluster.shutdown()
print(json.dumps(lost))
"""
    # A folder of its own: in the usual one, the cluster would be joined by any other ray.init() on this machine.
    with tempfile.TemporaryDirectory(prefix="ray-") as home:
        environment = {**os.environ, "RAY_ADDRESS": "", "RAY_TMPDIR": home}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads(done.stdout.splitlines()[-1])) == 1
    check_same(load_result(folder), calm)
