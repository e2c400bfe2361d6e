"""Sweeps on a real Ray: both doors, resuming, promotion, and what can go wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heist_encoders.errors import ConfigError, MissingDependencyError, ResourceError, UnknownNameError
from heist_encoders.tuning import SweepResult, load_result, promote_winner, search_space, sweep, trainable

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TINY = {"params": {"channels": [8, 4], "latent_size": 8}, "test_samples": 32}


@pytest.fixture(scope="module")
def finished(ray_local: None, small_dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepResult, list]:
    events: list[Any] = []
    result = sweep(
        "conv_maxpool",
        small_dataset,
        out=tmp_path_factory.mktemp("sweeps") / "tuned",
        preset="smoke",
        num_samples=2,
        train=TINY,
        seed=5,
        progress=events.append,
    )
    return result, events


def configurations(result: SweepResult) -> list[dict]:
    """The trials' searched values, in the order of the trials."""
    return result.table.sort_values("trial")[["trial", *result.plan["searched"]]].to_dict("records")


def copy_of(result: SweepResult, target: Path) -> Path:
    return Path(shutil.copytree(result.path, target))


def test_sweep_runs_and_reports(finished: tuple[SweepResult, list], small_dataset: Any) -> None:
    result, events = finished
    assert result.finished
    assert list(result.table["rank"]) == [1, 2]
    assert set(result.table["status"]) <= {"done", "stopped"}
    best = result.best
    assert best is not None
    assert best["objective"] == best["miou"]
    assert best["latent_dimension"] == 8
    assert 0 < best["latency_ms"] < 5
    first, second = result.table.sort_values("trial")["learning_rate"]
    assert first == 3e-3  # the space's start
    assert 3e-4 <= second <= 1e-2
    assert first != second
    saved = json.loads((result.path / "results.json").read_text())
    assert saved["best"] == best
    assert saved["finished"] is True
    assert (result.path / "results.csv").read_text().startswith("rank,trial,")
    assert result.plan["dataset"]["hash"] == small_dataset.hash
    assert events[0].kind == "plan"
    assert "2 trials, 2 at once" in events[0].message
    assert {"start", "result", "complete"} <= {event.kind for event in events}
    assert events[-1].kind == "end"
    assert events[-1].finished == 2


def test_tensorboard_has_every_trial(finished: tuple[SweepResult, list]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result, _ = finished
    for row in result.table.to_dict("records"):
        folder = (result.path / row["checkpoint"]).parent
        events = EventAccumulator(str(folder))
        events.Reload()
        logged = [event.value for event in events.Scalars("ray/tune/miou")]
        assert max(logged) == pytest.approx(row["miou"])


def test_report_shows_what_was_tried(finished: tuple[SweepResult, list], tmp_path: Path) -> None:
    from heist_encoders.pipeline.reporting import write

    result, _ = finished
    page = write([str(result.path.parent)], tmp_path / "report.html").read_text(encoding="utf-8")
    parallel = page[page.index("What tuned tried") :].split("</svg>")[0]
    for name in ("learning_rate", "miou"):
        assert f">{name}</text>" in parallel
    cost = page[page.index("miou of tuned against latency and size") :].split("</svg>")[0]
    assert ">latency" in cost.lower() or "latent dimension" in cost
    assert "http" not in page.replace("http://www.w3.org", "")


def test_loggers_that_are_missing(monkeypatch: pytest.MonkeyPatch, small_dataset: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"out": tmp_path / "s", "preset": "smoke"}
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependencyError, match=rf"pip install 'heist-encoders\[{name}\]'"):
            sweep("conv_maxpool", small_dataset, log=[name], **options)
    with pytest.raises(UnknownNameError, match="unknown logger 'wandbb'; did you mean 'wandb'"):
        sweep("conv_maxpool", small_dataset, log=["wandbb"], **options)
    assert not (tmp_path / "s").exists()


def test_finished_sweep_is_not_run_again(finished: tuple[SweepResult, list], small_dataset: Any) -> None:
    result, _ = finished
    options = {"out": result.path, "preset": "smoke", "train": TINY, "seed": 5}
    again = sweep("conv_maxpool", small_dataset, resume=True, **options)
    assert again.to_dict() == load_result(result.path).to_dict()
    with pytest.raises(ConfigError, match="holds a sweep already; resume it"):
        sweep("conv_maxpool", small_dataset, **options)
    with pytest.raises(ConfigError, match=r"another seed \(5 there, 6 here\)"):
        sweep("conv_maxpool", small_dataset, resume=True, **{**options, "seed": 6})
    with pytest.raises(ConfigError, match="another autoencoder"):
        sweep("vae_paper", small_dataset, out=result.path, preset="smoke", resume=True)


def test_promoted_winner_is_in_the_zoo(finished: tuple[SweepResult, list], small_dataset: Any) -> None:
    from heist_encoders.zoo import find_artifact, load_encoder

    result, _ = finished
    artifact = promote_winner(result.path)
    assert artifact.name == "conv_maxpool-tuned"
    assert artifact.provenance["sweep"] == "tuned"
    assert artifact.provenance["rank"] == 1
    assert artifact.provenance["seed"] == 5
    assert artifact.provenance["dataset_hash"] == small_dataset.hash == artifact.dataset_hash
    assert find_artifact("conv_maxpool-tuned").sha256 == artifact.sha256
    assert load_encoder("conv_maxpool-tuned").encode(small_dataset.frames("test")[:3]).shape == (3, 8)
    assert promote_winner(result.path).sha256 == artifact.sha256
    second = promote_winner(result, "runner-up", rank=2)
    assert second.provenance["rank"] == 2


def test_interrupted_sweep_resumes_to_the_same_trials(
    finished: tuple[SweepResult, list], ray_local: None, small_dataset: Any, tmp_path: Path
) -> None:
    result, _ = finished
    folder = tmp_path / "interrupted"

    def interrupt(event: Any) -> None:
        if event.kind == "result":
            os.kill(os.getpid(), signal.SIGINT)

    options: dict[str, Any] = {"out": folder, "preset": "smoke", "num_samples": 2, "train": TINY, "seed": 5}
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sweep("conv_maxpool", small_dataset, progress=interrupt, **options)
    assert signal.getsignal(signal.SIGINT) is before
    assert not load_result(folder).finished
    resumed = sweep("conv_maxpool", small_dataset, resume=True, **options)
    assert resumed.finished
    assert configurations(resumed) == configurations(result)
    assert set(resumed.table["status"]) <= {"done", "stopped"}


def test_killed_driver_resumes_to_the_same_trials(
    finished: tuple[SweepResult, list], ray_local: None, small_dataset: Any, tmp_path: Path
) -> None:
    result, _ = finished
    folder = tmp_path / "killed"
    script = f"""
import os, signal
from heist_encoders.tuning import sweep

def die(event):
    if event.kind == "result" and event.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

sweep("conv_maxpool", {str(small_dataset.path)!r}, out={str(folder)!r}, preset="smoke", num_samples=2,
      train={TINY!r}, seed=5, progress=die)
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "RAY_ADDRESS": ""}, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = {str(path.relative_to(folder)) for path in folder.glob("*/checkpoint_*")}
    resumed = sweep(
        "conv_maxpool", small_dataset, out=folder, preset="smoke", num_samples=2, train=TINY, seed=5, resume=True
    )
    assert resumed.finished
    assert configurations(resumed) == configurations(result)
    assert kept <= {str(path.relative_to(folder)) for path in folder.glob("*/checkpoint_*")}
    assert promote_winner(folder, "survivor").provenance["sweep"] == "killed"


@pytest.mark.parametrize("file", ["tuner.pkl", "experiment_state-*.json"])
def test_truncated_state_is_told_and_loses_nothing(
    finished: tuple[SweepResult, list], small_dataset: Any, tmp_path: Path, file: str
) -> None:
    folder = copy_of(finished[0], tmp_path / "truncated")
    (folder / "results.json").unlink()
    for path in folder.glob(file):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ConfigError, match="can't be resumed; its 2 trials so far can still be promoted") as caught:
        sweep("conv_maxpool", small_dataset, out=folder, preset="smoke", train=TINY, seed=5, resume=True)
    assert "\n" not in str(caught.value)
    assert promote_winner(folder, f"saved-{len(file)}").provenance["rank"] == 1


def test_tune_run(ray_local: None, small_dataset: Any, tmp_path: Path) -> None:
    from ray import tune

    from heist_encoders.zoo import load_artifact

    config = {**search_space("conv_maxpool", "smoke"), **TINY, "dataset": str(small_dataset.path)}
    analysis = tune.run(trainable, config=config, num_samples=1, storage_path=str(tmp_path), name="door", verbose=0)
    trial = analysis.trials[0]
    assert trial.last_result["complete"]
    assert trial.last_result["objective"] == trial.last_result["miou"]
    best = analysis.get_best_checkpoint(trial, metric="objective", mode="max")
    with best.as_directory() as folder:
        assert load_artifact(Path(folder) / "artifact").architecture == "conv_maxpool"


def test_optuna(ray_local: None, small_dataset: Any, tmp_path: Path) -> None:
    result = sweep("conv_maxpool", small_dataset, out=tmp_path / "tpe", preset="smoke", train=TINY, search="optuna")
    assert len(result.table) == 2
    assert result.table["learning_rate"].between(3e-4, 1e-2).all()
    assert (result.table["learning_rate"] == 3e-3).sum() == 1


def test_optuna_missing(monkeypatch: pytest.MonkeyPatch, small_dataset: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'heist-encoders\[optuna\]'"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", preset="smoke", search="optuna")
    assert not (tmp_path / "s").exists()


def test_a_space_of_tune_is_quiet_and_over_the_limits_nothing_wins(
    ray_local: None, small_dataset: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = sweep(
        {**search_space("conv_maxpool", "smoke"), **TINY},
        small_dataset,
        out=tmp_path / "large",
        preset="smoke",
        options={"num_samples": 1},
        scheduler="none",
        objective={"max_latent_dimension": 4},
    )
    assert capfd.readouterr().out == ""
    assert result.best is None
    assert not result.table["feasible"].any()
    assert result.table["reason"].tolist() == ["latent dimension 8 over 4"]
    with pytest.raises(ConfigError, match="none of 1 trials has a checkpoint within the limits"):
        promote_winner(result.path)


def test_too_few_cpus(ray_local: None, small_dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="asks for 64 CPU, but no node of the running Ray has that"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", preset="smoke", cpus_per_trial=64)
    assert not (tmp_path / "s").exists()


def test_bad_folders_and_options(small_dataset: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(ConfigError, match="a file is in the way"):
        sweep("conv_maxpool", small_dataset, out=file)
    with pytest.raises(ConfigError, match="holds other files and no sweep"):
        sweep("conv_maxpool", small_dataset, out=tmp_path)
    with pytest.raises(UnknownNameError, match="unknown option 'num_sample'; did you mean 'num_samples'"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", num_sample=3)
    with pytest.raises(UnknownNameError, match="unknown scheduler 'ahsa'; did you mean 'asha'"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", options={"scheduler": "ahsa"})
    with pytest.raises(UnknownNameError, match="unknown metric 'mio'; did you mean 'miou'"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", metric="mio")
    with pytest.raises(ConfigError, match="unknown key 'epochs'"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", train={"epochs": 3})
    with pytest.raises(ConfigError, match="num_samples = 0"):
        sweep("conv_maxpool", small_dataset, out=tmp_path / "s", num_samples=0)
    with pytest.raises(ConfigError, match="holds no sweep"):
        load_result(tmp_path)
    elsewhere = SimpleNamespace(
        path="s3://key:secret@bucket/heist", hash="0" * 64, frames=small_dataset.frames, spec=small_dataset.spec
    )
    with pytest.raises(ConfigError, match="no credentials there") as caught:
        sweep("conv_maxpool", elsewhere, out=tmp_path / "s")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "s").exists()
