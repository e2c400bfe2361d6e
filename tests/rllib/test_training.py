"""The loop of ``train_ppo`` around an algorithm that only counts: what it counts, and where it goes on."""

from __future__ import annotations

import errno
import gc
import json
import math
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.utils.checkpoints import Checkpointable

from heist_encoders.errors import ArtifactError, ConfigError, ResourceError
from heist_encoders.files import FolderLock
from heist_encoders.rllib import train_ppo


class Counting:
    """An algorithm with the results of its iterations given, one after the other."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        self.results = results
        self.restored: list[str] = []
        self.env_runner_group: Any = None  # as RLlib's offline algorithms have none
        self.room = True

    def train(self) -> dict[str, Any]:
        return self.results.pop(0)

    def save_to_path(self, path: str) -> None:
        Path(path).mkdir()
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")

    def restore_from_path(self, path: str) -> None:
        self.env_runner_group.sync_weights()

    def stop(self) -> None:
        pass


PLAYED = {"env_runners": {"num_env_steps_sampled": 64}}


def pixels() -> PPOConfig:
    return PPOConfig().environment("heist-pixels")


@pytest.fixture
def algorithm(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting([])
    monkeypatch.setattr(AlgorithmConfig, "build_algo", lambda self: counting)
    monkeypatch.setattr(Checkpointable, "restore_from_path", lambda self, path: self.restored.append(Path(path).name))
    return counting


def test_rows_of_offline_data_count_and_it_goes_on(algorithm: Counting, tmp_path: Path) -> None:
    # Nothing is played: it went on without end.
    learned = {"env_runners": {}, "learners": {"default_policy": {"num_module_steps_trained": 100, "policy_loss": 1.0}}}
    algorithm.results = [learned] * 5
    config = BCConfig().environment("heist-pixels").offline_data(input_=["rows.parquet"])
    assert train_ppo(config, steps=250, out=tmp_path / "bc").env_steps == 300
    result = train_ppo(config, steps=500, out=tmp_path / "bc")
    assert (result.env_steps, algorithm.restored) == (500, ["000003"])
    assert [line["env_steps"] for line in result.history] == [100, 200, 300, 400, 500]


def test_iterations_without_any_env_runner_count_nothing(algorithm: Counting, tmp_path: Path) -> None:
    played = {"env_runners": {"num_env_steps_sampled": 64, "num_episodes": 1}}
    # What RLlib 2.60 reports while all env runners are gone.
    gone = {"env_runners": {"num_env_steps_sampled": math.nan, "num_episodes": math.nan}}
    algorithm.results = [played, gone, {}, played]
    result = train_ppo(PPOConfig().environment("heist-pixels"), steps=128, out=tmp_path / "ppo")
    assert [line["env_steps"] for line in result.history] == [64, 64, 64, 128]
    assert [line["episodes"] for line in result.history] == [1, 0, 0, 1]


def test_an_algorithm_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Counting]] = []

    def build(_: Any) -> Counting:
        counting: Any = Counting([PLAYED])
        counting.itself = counting
        made.append(weakref.ref(counting))
        return counting

    monkeypatch.setattr(AlgorithmConfig, "build_algo", build)
    gc.disable()
    try:
        train_ppo(pixels(), steps=64, out=tmp_path)
    finally:
        gc.enable()
    assert made[0]() is None


def test_a_full_disk_leaves_the_checkpoint_before(algorithm: Counting, tmp_path: Path) -> None:
    algorithm.results = [PLAYED] * 4
    train_ppo(pixels(), steps=64, out=tmp_path / "ppo")
    algorithm.room = False
    with pytest.raises(ResourceError, match=r"^no room left on the disk to write \S+000002; make room there[^\n]*$"):
        train_ppo(pixels(), steps=128, out=tmp_path / "ppo")
    algorithm.room = True
    result = train_ppo(pixels(), steps=192, out=tmp_path / "ppo")
    assert algorithm.restored == ["000001", "000001"]
    assert [line["iteration"] for line in result.history] == [1, 2, 3]
    assert sorted(path.name for path in (tmp_path / "ppo" / "checkpoints").iterdir()) == ["000001", "000003"]


def test_a_checkpoint_that_is_cut_is_told(algorithm: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once it is deleted the one before takes its place."""

    def cut(self: Counting, path: str) -> None:
        self.restored.append(Path(path).name)
        if path.endswith("2"):
            raise EOFError("Ran out of input")

    monkeypatch.setattr(Checkpointable, "restore_from_path", cut)
    algorithm.results = [PLAYED] * 4
    train_ppo(pixels(), steps=128, out=tmp_path / "ppo", checkpoint_seconds=0.0)
    with pytest.raises(
        ArtifactError, match=r"^cannot read the checkpoint \S+000002 \(EOFError: Ran out[^\n]* delete it"
    ):
        train_ppo(pixels(), steps=192, out=tmp_path / "ppo")
    shutil.rmtree(tmp_path / "ppo" / "checkpoints" / "000002")
    result = train_ppo(pixels(), steps=192, out=tmp_path / "ppo")
    assert algorithm.restored == ["000002", "000001"]
    assert [line["env_steps"] for line in result.history] == [64, 128, 192]


def test_folders_that_are_taken(algorithm: Counting, tmp_path: Path) -> None:
    algorithm.results = [PLAYED]
    (tmp_path / "ppo").mkdir()
    with FolderLock(tmp_path / "ppo"), pytest.raises(ConfigError, match="another run is writing there"):
        train_ppo(pixels(), steps=64, out=tmp_path / "ppo")
    assert train_ppo(pixels(), steps=64, out=tmp_path / "ppo").env_steps == 64
    with pytest.raises(ConfigError, match="choose a folder you may write to"):
        train_ppo(pixels(), steps=64, out="/proc/ppo")  # not even root may make folders there


def test_a_run_goes_on_where_its_encoder_was_moved_and_says_what_differs(algorithm: Counting, tmp_path: Path) -> None:
    def config(uri: str, sha256: str = "a" * 64, **options: Any) -> PPOConfig:
        encoder = {"name": "mine", "uri": uri, "sha256": sha256}
        return PPOConfig().environment("heist-mine", env_config={"encoder": encoder, **options})

    algorithm.results = [PLAYED, PLAYED]
    train_ppo(config("/here/mine"), steps=64, out=tmp_path)
    assert train_ppo(config("/there/mine"), steps=128, out=tmp_path).env_steps == 128
    for other, message in (
        (config("/here/mine", time_limit=40), r"with env_config\.time_limit = None, here 40; choose another folder"),
        (config("/here/mine", "b" * 64), r"with env_config\.encoder = 'aaaa.*, here 'bbbb.*; choose another folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            train_ppo(other, steps=256, out=tmp_path)
    other = config("/here/mine").training(grad_clip=0.25)
    with pytest.raises(ConfigError, match=r"with grad_clip = None, here 0\.25"):
        train_ppo(other, steps=256, out=tmp_path)
    known = json.loads((tmp_path / "ppo.json").read_text())
    del known["grad_clip"]  # as runs of earlier versions
    (tmp_path / "ppo.json").write_text(json.dumps(known))
    assert train_ppo(other, steps=128, out=tmp_path).env_steps == 128
