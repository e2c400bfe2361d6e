"""A winner by a small margin says how sure that is."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heist_encoders.data.dataset import Dataset
from heist_encoders.tuning import load_result
from heist_encoders.tuning.options import Objective
from heist_encoders.tuning.results import FORMAT_VERSION, SweepResult
from heist_encoders.tuning.spread import with_spread
from heist_encoders.tuning.trial import read_metric
from tests.zoo.making import make_artifact


def made(folder: Path, *objectives: float) -> SweepResult:
    """A finished sweep, of a trial for each objective."""
    folder.mkdir()
    plan = {"format_version": FORMAT_VERSION, "searched": [], "objective": {"metric": "miou"}}
    (folder / "sweep.json").write_text(json.dumps(plan))
    for number, objective in enumerate(objectives):
        trial = folder / f"{number}-trial"
        artifact = trial / "checkpoint_000000" / "artifact"
        artifact.mkdir(parents=True)
        (artifact / "config.json").write_text("{}")
        (trial / "params.json").write_text("{}")
        report = {"objective": objective, "feasible": True, "complete": True, "test_loss": 1.0, "epoch": 1}
        (trial / "result.json").write_text(json.dumps({**report, "checkpoint_dir_name": "checkpoint_000000"}) + "\n")
    return load_result(folder, finished=True)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Probes that say 0.005, and what they were asked."""
    asked: list[Any] = []

    def read(model: Any, dataset: Any, objective: Objective, *, seeds: int) -> Any:
        asked.append((model, seeds))
        return SimpleNamespace(std={"miou": 0.005})

    monkeypatch.setattr("heist_encoders.tuning.trial.read_metric", read)
    monkeypatch.setattr(
        "heist_encoders.zoo.load_artifact", lambda path: SimpleNamespace(load_model=lambda: path.parts[-3])
    )
    return asked


@pytest.mark.parametrize(
    ("objectives", "lead"),
    [
        ((0.500, 0.496), "trial 0 is 0.004 ahead of trial 1, within the standard deviation over seeds"),
        ((0.491, 0.500), "trial 1 is 0.009 ahead of trial 0, beyond the standard deviation over seeds of"),
        ((0.500, 0.400, 0.496), "trial 0 is 0.004 ahead of trial 2, within"),
    ],
)
def test_a_small_lead_is_measured(
    objectives: tuple[float, ...], lead: str, tmp_path: Path, measured: list[Any]
) -> None:
    sweep = made(tmp_path / "sweep", *objectives)
    assert sweep.lead == ""
    result = with_spread(sweep, None, Objective())
    assert measured == [(f"{objectives.index(max(objectives))}-trial", 3)]
    assert result.finished
    assert result.lead.startswith(lead)
    assert result.table["std"].notna().tolist() == [True] + [False] * (len(objectives) - 1)
    assert load_result(sweep.path).lead == result.lead == result.to_dict()["lead"]
    with_spread(result, None, Objective())
    assert len(measured) == 1  # once


@pytest.mark.parametrize("objectives", [(), (0.5,), (0.5, 0.48)])
def test_a_clear_lead_is_not(objectives: tuple[float, ...], tmp_path: Path, measured: list[Any]) -> None:
    result = with_spread(made(tmp_path / "sweep", *objectives), None, Objective())
    assert result.lead == ""
    assert measured == []


def test_nor_the_test_loss(tmp_path: Path, measured: list[Any]) -> None:
    assert with_spread(made(tmp_path / "sweep", -0.5, -0.5), None, Objective(metric="test_loss")).lead == ""
    assert measured == []


def test_several_seeds_are_those_of_the_trial(small_dataset: Dataset, tmp_path: Path) -> None:
    model = make_artifact(tmp_path / "a", "conv_maxpool").load_model()
    objective = Objective(metric="linear_presence_f1", probe_frames=64)
    one, three = (read_metric(model, small_dataset, objective, seeds=seeds) for seeds in (1, 3))
    assert not one.std
    assert three.std["linear_presence_f1"] >= 0
    assert np.isfinite(three.std["linear_presence_f1"])
    assert (one.train_samples, one.seed, one.fast) == (three.train_samples, three.seed, three.fast)
