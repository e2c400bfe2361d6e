"""A trial without Ray: what it reports, and going on from its checkpoints, also with other settings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.errors import ConfigError
from heist_encoders.tasks.heist.elements import CLASSES
from heist_encoders.training.config import TrainConfig
from heist_encoders.tuning.options import METRICS, Objective
from heist_encoders.tuning.results import ARTIFACT, FIGURES, TRAINING
from heist_encoders.tuning.trial import Trial
from heist_encoders.zoo import load_artifact
from heist_encoders.zoo.artifact import Artifact

CONFIG: dict[str, Any] = {
    "autoencoder": "conv_maxpool",
    "params": {"channels": [8, 4], "latent_size": 8},
    "max_epochs": 4,
    "epoch_samples": 128,
    "test_samples": 32,
    "batch_size": 32,
    "threads": 1,
}


class Reports:
    """What a trial told, with its checkpoints kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures: list[dict[str, Any]] = []

    def __call__(self, figures: dict[str, Any], checkpoint: Path | None) -> None:
        assert checkpoint is not None
        shutil.copytree(checkpoint, self.folder / str(len(self.figures)))
        self.figures.append(dict(figures))


def run(dataset: Any, home: Path, checkpoint: Path | None = None, **settings: Any) -> Reports:
    (home / "work").mkdir(parents=True)
    reports = Reports(home / "checkpoints")
    config = TrainConfig.from_dict({**CONFIG, **settings})
    Trial(config, dataset, Objective(probe_frames=128), home / "work", reports).run(checkpoint)
    return reports


@pytest.fixture(scope="module")
def whole(small_dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    return run(small_dataset, tmp_path_factory.mktemp("whole"))


def artifact_of(reports: Reports, number: int) -> Artifact:
    """The artifact of a checkpoint that was reported."""
    return load_artifact(reports.folder / str(number) / ARTIFACT)


def test_reports(whole: Reports) -> None:
    assert [figures["epoch"] for figures in whole.figures] == [1, 2, 4]
    assert [figures["complete"] for figures in whole.figures] == [False, False, True]
    for i, figures in enumerate(whole.figures):
        assert set(FIGURES) - set(METRICS) - {"std"} | {"miou", "test_loss"} <= set(figures)
        assert 0 < figures["miou"] == figures["objective"] < 1
        assert set(artifact_of(whole, i).metrics["trial"]["iou"]) == set(CLASSES)
        assert 0 < figures["probe_share"] < 1
        artifact = artifact_of(whole, i)
        assert len(artifact.training["history"]) == figures["epoch"]
        assert artifact.metrics["trial"]["miou"] == pytest.approx(figures["miou"], abs=1e-6)
        assert (whole.folder / str(i) / TRAINING).is_dir() is not figures["complete"]


def test_goes_on_to_the_same_weights(whole: Reports, small_dataset: Any, tmp_path: Path) -> None:
    again = run(small_dataset, tmp_path, whole.folder / "0")
    assert [figures["epoch"] for figures in again.figures] == [2, 4]
    for i in (0, 1):
        artifacts = [load_artifact(r.folder / str(i + j) / ARTIFACT) for r, j in ((again, 0), (whole, 1))]
        assert artifacts[0].sha256 == artifacts[1].sha256
        assert len(artifacts[0].training["history"]) == len(artifacts[1].training["history"])


def test_takes_over_weights_with_other_settings(whole: Reports, small_dataset: Any, tmp_path: Path) -> None:
    changed = {"learning_rate": 0.01, "loss": {"weighting": "none"}}
    again = run(small_dataset, tmp_path / "changed", whole.folder / "1", **changed)
    artifact = load_artifact(again.folder / "0" / ARTIFACT)
    assert [figures["epoch"] for figures in again.figures] == [4]
    assert artifact.training["config"]["learning_rate"] == 0.01
    earlier = load_artifact(whole.folder / "1" / ARTIFACT).training["history"]
    assert artifact.training["history"][:2] == earlier
    with pytest.raises(ConfigError, match="another training"):
        run(small_dataset, tmp_path / "other", whole.folder / "1", params={"channels": [8, 4], "latent_size": 4})


def test_a_finished_training_is_reported_as_it_is(whole: Reports, small_dataset: Any, tmp_path: Path) -> None:
    again = run(small_dataset, tmp_path, whole.folder / "2", learning_rate=0.01)
    assert len(again.figures) == 1
    assert again.figures[0]["complete"] is True
    assert again.figures[0]["miou"] == pytest.approx(whole.figures[-1]["miou"], abs=1e-6)
    sums = [load_artifact(r.folder / i / ARTIFACT).sha256 for r, i in ((again, "0"), (whole, "2"))]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("metric", ["presence_f1", "linear_presence_f1", "test_loss"])
def test_a_trial_reads_what_its_objective_asks_for(small_dataset: Any, tmp_path: Path, metric: str) -> None:
    reports = Reports(tmp_path / "checkpoints")
    config = TrainConfig.from_dict({**CONFIG, "max_epochs": 1})
    Trial(config, small_dataset, Objective(metric=metric, probe_frames=64), tmp_path, reports).run()
    figures = reports.figures[-1]
    assert figures["objective"] == (-figures[metric] if metric == "test_loss" else figures[metric])
    # The figure that encoders are compared by is worth its seconds where nothing is to be read.
    assert ("miou" in figures) is (metric == "test_loss")


def test_the_grid_of_a_trial_has_the_cells_of_its_dataset(small_dataset: Any, tmp_path: Path) -> None:
    trial = Trial(TrainConfig.from_dict({"autoencoder": "grid"}), small_dataset, Objective(), tmp_path, print)
    assert (trial.config.params["cells"], trial.config.params["latent_channels"]) == (8, 16)
