"""Runs of PPO: their options, seeds in a table, loggers, videos."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heist_encoders.errors import ConfigError, MissingDependencyError, UnknownNameError
from heist_encoders.rllib import runs
from heist_encoders.rllib.options import PPOOptions
from heist_encoders.rllib.run_logs import RunLogs
from heist_encoders.rllib.run_options import PPORunOptions
from heist_encoders.zoo.artifact import Artifact

LINE = {"env_steps": 64, "iteration": 1, "return_mean": 10.0, "length_mean": 9.0, "entropy": 2.0,
        "evaluation": {"mean_return": 4.0}}  # fmt: skip


def test_options_are_those_of_ppo_and_more() -> None:
    options = PPORunOptions.from_dict({"seeds": [0, 2], "log": ["tensorboard"], "num_envs": 8})
    assert options.ppo == PPOOptions(num_envs=8, evaluation_levels=64, evaluation_interval=50)
    assert PPORunOptions(evaluation_interval=0).ppo.evaluation_levels == 0
    assert PPORunOptions.from_dict(options.to_dict()) == options
    with pytest.raises(ConfigError, match="given twice"):
        PPORunOptions.from_dict({"seeds": [1, 1]})
    with pytest.raises(UnknownNameError, match="did you mean 'wandb'"):
        PPORunOptions.from_dict({"log": ["wandbb"]})


def test_interquartile_mean_with_a_bootstrap_interval() -> None:
    found = runs.summarise([0.0, 4.0, 5.0, 10.0])
    low, high = found["return_interval"]
    assert found["return_iqm"] == 4.5, "the mean of the middle half"
    assert 0 <= low < 2.5
    assert 6 < high <= 10
    assert runs.summarise([3.0]) == {"return_iqm": 3.0, "return_interval": None}
    assert runs.summarise([3.0, 3.0])["return_interval"] == [3.0, 3.0]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'heist-encoders\[{name}\]'"):
        RunLogs([name], tmp_path, {})


def test_loggers_never_see_the_biased_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.air.integrations import mlflow, wandb

    logged: dict[str, Any] = {}
    started: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda figures, step: logged.update({name: (figures, step)})

    def start(name: str, run: Any) -> Callable[..., Any]:
        return lambda config, **options: (started.update({name: options}), run)[1]

    ended: list[str] = []
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = SimpleNamespace(log=keep("wandb"), finish=lambda: ended.append("wandb"))
    flow = SimpleNamespace(log_metrics=keep("mlflow"), end_run=lambda: ended.append("mlflow"))
    monkeypatch.setattr(wandb, "setup_wandb", start("wandb", run))
    monkeypatch.setattr(mlflow, "setup_mlflow", start("mlflow", flow))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    logs = RunLogs(["tensorboard", "wandb", "mlflow"], tmp_path, {"lstm": True})
    logs.write(LINE)
    logs.close()
    expected = {"env_steps": 64.0, "iteration": 1.0, "entropy": 2.0, "evaluation/mean_return": 4.0}
    assert logged == {"wandb": (expected, 64), "mlflow": (expected, 64)}
    assert ended == ["wandb", "mlflow"]
    assert started["mlflow"]["tracking_uri"] == (tmp_path / "mlflow").as_uri(), "it stays here"
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_film_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from heist_encoders.evaluation import video
    from heist_encoders.policies.play import OraclePolicy
    from heist_encoders.rllib.batch_policy import RLlibPolicy

    written: list[tuple[Path, Any]] = []
    monkeypatch.setattr(video, "write_video", lambda path, frames: written.append((path, frames)))
    monkeypatch.setattr(RLlibPolicy, "from_algorithm", lambda algorithm: OraclePolicy())
    options = {"distribution_mode": "easy", "game": "maze"}
    algorithm = SimpleNamespace(config=SimpleNamespace(env_config=options))
    for iteration in (1, 2):
        runs._film(
            algorithm=algorithm, result={"training_iteration": iteration}, every=2, folder=str(tmp_path), extra=None
        )
    ((path, frames),) = written
    assert path == tmp_path / "videos" / "000002.mp4"
    assert frames.shape[1:] == (276, 256, 3)
    assert frames.dtype == np.uint8
    assert (frames[0, :20] == 0).any(), "a caption"


def test_a_folder_of_one_run_is_none_of_several(tmp_path: Path) -> None:
    (tmp_path / "ppo.json").write_text("{}")
    with pytest.raises(ConfigError, match="of one seed"):
        runs.seed_folders(PPORunOptions(seeds=(0, 1)), tmp_path)


def test_one_level_has_no_interval() -> None:
    figures = {"success_rate": 1.0, "return_mean": 10.0, "return_interval": [None, None]}
    assert runs.rows({3: {"env_steps": 512, "evaluation": figures}}) == [("3", 512, "100.0%", "10.00", "-")]
    assert runs.interval_text({"return_interval": [1.0, 2.5]}) == "1.00 to 2.50"


def test_a_run_that_clones_first_says_so_and_keeps_the_clone(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Any, *, out: Path, options: Any, **_: Any) -> Any:
        configs.append(config)
        assert options.warm_start == "bc", "what the user gave stands in ppo.yaml"
        return SimpleNamespace(checkpoint=out / "checkpoint", env_steps=9, seconds=1.0, history=[])

    configs: list[Any] = []
    monkeypatch.setattr(runs, "train_ppo", train)
    shown: list[str] = []
    options = PPORunOptions(
        encoder=str(artifact.path), warm_start="bc", warm_start_frames=64, final_levels=0, backend="torch"
    )
    for _ in range(2):
        done = runs.train_run(options, tmp_path / "run", cloning=lambda part, *_: shown.append(part))
    assert shown.count("encode") == 1, "the second time it is there"
    assert done["class"].startswith("Class D: learned from the oracle's moves; 64 labelled frames")
    assert done["training"]["method"] == "behaviour cloning, then PPO"
    (place,) = {config.learner_config_dict["warm_start"]["policy"] for config in configs}
    assert Path(place) == tmp_path / "run" / "warm-start"
    other = PPORunOptions.resolve(options, warm_start_frames=65)
    with pytest.raises(ConfigError, match="with warm_start_frames = 64, here 65; choose another folder"):
        runs.train_run(other, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigError, match="holds other files"):
        runs.train_run(options, tmp_path / "full")


def test_what_single_frames_cannot_teach() -> None:
    with pytest.raises(ConfigError, match="lstm = True with warm_start = 'bc': expected False; or clone"):
        PPORunOptions.from_dict({"warm_start": "bc", "lstm": True})
    with pytest.raises(ConfigError, match="actions = 'all' with warm_start = 'bc'"):
        PPORunOptions.from_dict({"warm_start": "bc", "actions": "all"})
    assert PPORunOptions(warm_start="bc").ppo.warm_start is None
    assert PPORunOptions(warm_start="best").ppo.warm_start == "best"
