"""The folder of a sweep, as far as Tune: who may write there, how often trials are started again. Without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune

from heist_encoders.data.dataset import Dataset
from heist_encoders.errors import ConfigError
from heist_encoders.files import LOCK, FolderLock
from heist_encoders.tuning import resources, sweep, sweeps


class Started(Exception):
    """Tune would begin now."""


@pytest.fixture(autouse=True)
def failures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often each sweep's trials may fail; a sweep ends where Tune would begin."""

    def tuner(*_: Any, run_config: tune.RunConfig, **__: Any) -> None:
        assert run_config.failure_config is not None
        seen.append(run_config.failure_config.max_failures)
        raise Started

    seen: list[int] = []
    monkeypatch.setattr(sweeps, "start_ray", lambda address: None)
    monkeypatch.setattr(resources, "plan_resources", lambda *_: resources.ResourcePlan(1, 1, 1.0, 0.0, 1.0, 0.0, 1))
    monkeypatch.setattr(tune, "Tuner", tuner)
    return seen


def go(dataset: Dataset, out: str | Path, **options: Any) -> None:
    sweep("conv_maxpool", dataset, out=out, preset="smoke", num_samples=1, **options)


@pytest.mark.parametrize("resume", [False, True])
def test_one_sweep_at_a_time(resume: bool, small_dataset: Dataset, tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(ConfigError, match="another run is writing there"):
        go(small_dataset, tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    with pytest.raises(Started):  # the lock that is left is no other file
        go(small_dataset, tmp_path, resume=resume)


def test_a_folder_that_cannot_be_written(small_dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"^out = /proc/sweep: [^\n]*choose a folder you may write to$"):
        go(small_dataset, "/proc/sweep")  # not even root may make folders there


def test_how_often_a_trial_is_started_again(small_dataset: Dataset, tmp_path: Path, failures: list[int]) -> None:
    for options in ({}, {"max_failures": 9}):
        with pytest.raises(Started):
            go(small_dataset, tmp_path / str(len(failures)), **options)
    assert failures == [2, 9]
