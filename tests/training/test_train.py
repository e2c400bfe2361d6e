from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import autoencoder_names
from heist_encoders.errors import ConfigError, DatasetError, HeistEncodersError, ResourceError
from heist_encoders.training.report import EpochReport, Progress, TrainResult
from heist_encoders.training.train import train
from tests.training.fakes import Squares

pytestmark = pytest.mark.filterwarnings("ignore:.*numbers of the encoding vary:UserWarning")

DATA = Squares()
SMALL: dict[str, Any] = {
    "autoencoder": "vae_paper",
    "params": {"channels": [8, 8, 8, 8], "latent_size": 6},
    "batch_size": 16,
    "max_epochs": 4,
    "epoch_samples": 48,
    "threads": 1,
}


def same_weights(a: TrainResult, b: TrainResult) -> bool:
    first, second = a.model.state_dict(), b.model.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def curves(result: TrainResult) -> list[tuple[float, float, float]]:
    return [(r.train_loss, r.test_loss, r.terms) for r in result.history]


@pytest.mark.parametrize("name", autoencoder_names())
def test_every_family_trains_and_gets_better(name: str) -> None:
    result = train({"autoencoder": name, "max_samples": 480, "epoch_samples": 96, "batch_size": 16, "threads": 1}, DATA)
    assert result.samples == 480
    assert len(result.history) == 5
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert result.test_loss == min(r.test_loss for r in result.history) == result.history[result.best_epoch].test_loss
    assert not result.model.training
    assert result.history[-1].units == math.prod(result.model.encoding_shape)
    assert not result.stopped_early


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_seed_decides_everything(precision: str) -> None:
    torch.manual_seed(1)
    first = train({**SMALL, "precision": precision}, DATA)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = train({**SMALL, "precision": precision}, DATA)
    assert same_weights(first, second)
    assert curves(first) == curves(second)
    assert torch.equal(torch.get_rng_state(), state), "the caller's generator was moved"
    assert not same_weights(first, train({**SMALL, "precision": precision, "seed": 1}, DATA))


MANY: dict[str, Any] = {"schedule": "cosine", "weight_decay": 0.01, "loss": {"beta_warmup": 0.5, "semantic_map": 0.5}}


@pytest.mark.parametrize("settings", [{}, MANY])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_training_ends_as_if_undisturbed(tmp_path: Path, settings: dict[str, Any], precision: str) -> None:
    config = {**SMALL, **settings, "precision": precision}
    undisturbed = train(config, DATA)

    class Killed(Exception):
        pass

    def kill_in_second_epoch(progress: EpochReport) -> None:
        if progress.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        train(config, DATA, out=tmp_path / "run", callback=kill_in_second_epoch)
    seen: list[int] = []
    resumed = train(config, DATA, out=tmp_path / "run", callback=lambda report: seen.append(report.epoch))
    assert seen == [2, 3]
    assert same_weights(resumed, undisturbed)
    assert curves(resumed) == curves(undisturbed)
    assert resumed.best_epoch == undisturbed.best_epoch

    again = train(config, DATA, out=tmp_path / "run", callback=lambda report: seen.append(report.epoch))
    assert seen == [2, 3], "a finished training is not trained on"
    assert same_weights(again, undisturbed)


def test_a_kill_within_an_epoch_costs_only_that_epoch(tmp_path: Path) -> None:
    class Interrupting(Squares):
        reads = 0

        def frames(self, split: str) -> Any:
            found = super().frames(split)
            if split == "test":
                return found

            class Counting(np.ndarray):
                def __getitem__(view, key: Any) -> Any:
                    Interrupting.reads += 1
                    if Interrupting.reads == 8:
                        raise KeyboardInterrupt
                    return np.asarray(view)[key]

            return found.view(Counting)

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, Interrupting(), out=tmp_path / "run")
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert 1 <= len(lines) < 4
    assert same_weights(train(SMALL, DATA, out=tmp_path / "run"), train(SMALL, DATA))


def test_what_lies_in_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "run"
    result = train(SMALL, DATA, out=out)
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert lines == [report.to_dict() for report in result.history]
    names = sorted(p.name for p in out.iterdir() if p.name != ".lock")
    assert names == [
        f"best-{result.best_epoch:05d}.safetensors",
        "checkpoint.json",
        "history.jsonl",
        "last-00003.safetensors",
        "tensorboard",
    ]
    assert list((out / "tensorboard").iterdir())


def test_early_stopping_restores_a_copy_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    import heist_encoders.training.train as module

    real, snapshots = module.test, []
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 0.5])

    def worse_after_the_second(model: Any, *args: Any, **options: Any) -> Any:
        snapshots.append({k: v.clone() for k, v in model.state_dict().items()})
        return real(model, *args, **options)._replace(loss=next(losses))

    monkeypatch.setattr(module, "test", worse_after_the_second)
    result = train({**SMALL, "patience": 3, "max_epochs": 20}, DATA)
    assert result.stopped_early
    assert len(result.history) == 5
    assert result.best_epoch == 1
    assert result.test_loss == 1.0
    assert [r.best for r in result.history] == [True, True, False, False, False]
    weights = result.model.state_dict()
    assert all(torch.equal(weights[k], snapshots[1][k]) for k in weights)
    assert not all(torch.equal(weights[k], snapshots[-1][k]) for k in weights)


def test_the_callback_can_end_it() -> None:
    result = train({**SMALL, "max_epochs": 50}, DATA, callback=lambda report: report.epoch == 1)
    assert len(result.history) == 2
    assert result.stopped_early


def test_budgets() -> None:
    result = train({**SMALL, "max_samples": 100}, DATA)
    assert result.samples == 112, "whole batches"
    assert [r.samples for r in result.history] == [48, 96, 112]
    result = train({**SMALL, "max_epochs": 10_000, "epoch_samples": 10_000, "max_seconds": 0.3}, DATA)
    assert 0 < result.samples < 10_000
    assert len(result.history) == 1


def test_batches_larger_than_the_data_will_do() -> None:
    result = train({**SMALL, "batch_size": 4096, "max_epochs": 2, "epoch_samples": None}, DATA)
    assert result.samples == 2 * 96


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import heist_encoders.training.train as module

    monkeypatch.setattr(module, "_PROGRESS_EVERY", 0.0)
    told: list[Progress] = []
    train(SMALL, DATA, progress=told.append)
    assert [p.samples for p in told] == list(range(16, 193, 16))
    assert all(p.planned_samples == 192 and p.seconds_left >= 0 and p.samples_per_second > 0 for p in told)


def test_collapse_is_noticed() -> None:
    config = {**SMALL, "loss": {"beta": 100.0}, "max_epochs": 2, "learning_rate": 0.01}
    with pytest.warns(UserWarning, match=r"vae_paper: only 0 of 6 dimensions of the encoding vary"):
        result = train(config, DATA)
    assert result.history[-1].collapsed
    assert result.history[-1].active_units == 0


@pytest.mark.parametrize(
    ("active", "units", "collapsed"), [(6, 64, True), (7, 64, False), (0, 5, True), (1, 10, False)]
)
def test_collapsed_means_under_a_tenth(active: int, units: int, collapsed: bool) -> None:
    report = EpochReport(0, 1.0, 1.0, {"mse": 0.1}, active, units, 1, 1.0, 1.0, True)
    assert report.collapsed == collapsed


def test_a_loss_that_is_not_finite_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from heist_encoders.autoencoders.vae import VaePaper

    real = VaePaper.loss_function

    def blown_up(self: VaePaper, *args: Any, **options: Any) -> Any:
        terms = real(self, *args, **options)
        return {name: value * math.inf for name, value in terms.items()}

    monkeypatch.setattr(VaePaper, "loss_function", blown_up)
    with pytest.raises(HeistEncodersError, match="the loss of vae_paper became inf after 16 samples") as caught:
        train(SMALL, DATA)
    assert "\n" not in str(caught.value)


def test_without_semantic_maps_a_loss_that_needs_them_is_refused() -> None:
    class NoMaps(Squares):
        def semantic_maps(self, split: str) -> Any:
            raise DatasetError("squares have no semantic maps; set loss.weighting to 'rarity'")

    with pytest.raises(DatasetError, match="no semantic maps"):
        train({**SMALL, "loss": {"weighting": "classes"}}, NoMaps())
    assert train({**SMALL, "max_epochs": 1, "loss": {"weighting": "none"}}, NoMaps()).samples == 48
    assert train({**SMALL, "max_epochs": 1}, NoMaps()).samples == 48, "the default needs no labels"


def test_empty_splits_are_refused() -> None:
    with pytest.raises(DatasetError, match="train split is empty"):
        train(SMALL, Squares(0, 4))
    with pytest.raises(DatasetError, match="test split is empty"):
        train(SMALL, Squares(4, 0))


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="a file is in the way"):
            train(SMALL, DATA, out=out)
    assert (tmp_path / "file").read_text() == "mine"

    train({**SMALL, "max_epochs": 1}, DATA, out=tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.json").read_bytes()
    with pytest.raises(ConfigError, match=r"holds another training \(config.learning_rate: 0.001 there, 0.1 here\)"):
        train({**SMALL, "learning_rate": 0.1}, DATA, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"holds another training \(dataset_hash"):
        train(SMALL, Squares(seed=5), out=tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.json").read_bytes() == before
    longer = train({**SMALL, "max_epochs": 2}, DATA, out=tmp_path / "run")
    assert len(longer.history) == 2, "a larger budget goes on"
    anew = train({**SMALL, "learning_rate": 0.1, "max_epochs": 1}, DATA, out=tmp_path / "run", resume=False)
    assert len(anew.history) == 1


def test_devices() -> None:
    with pytest.raises(ConfigError, match="expected 'auto', 'cpu', 'cuda'"):
        train({**SMALL, "device": "gpu"}, DATA)
    if torch.cuda.device_count() < 99:
        with pytest.raises(ResourceError, match="cuda:98"):
            train({**SMALL, "device": "cuda:98"}, DATA)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_is_the_same_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"autoencoder": "conv_maxpool", "params": {"channels": [4, 2], "decoder_channels": [4, 4, 4]}}
    config = {**SMALL, **small, "max_epochs": 2, "precision": "float32"}
    plain = train(config, DATA)
    compiled = train({**config, "compile": True}, DATA, out=tmp_path / "run")
    np.testing.assert_allclose([r.train_loss for r in compiled.history], [r.train_loss for r in plain.history], 1e-3)
    assert compiled.model.state_dict().keys() == plain.model.state_dict().keys()
    longer = train({**config, "max_epochs": 3}, DATA, out=tmp_path / "run")
    assert [r.epoch for r in longer.history] == [0, 1, 2], "it goes on without compilation"

    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ResourceError, match="needs a C\\+\\+ compiler and there is no 'no-such-compiler'"):
        train({**config, "compile": True}, DATA)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    train({**SMALL, "max_epochs": 1, "threads": 2}, DATA)
    assert torch.get_num_threads() == before
