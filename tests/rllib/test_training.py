"""The loop of ``train_ppo`` around an algorithm that only counts: what it counts, and where it goes on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.utils.checkpoints import Checkpointable

from heist_encoders.rllib import train_ppo


class Counting:
    """An algorithm with the results of its iterations given, one after the other."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        self.results = results
        self.restored: list[str] = []
        self.env_runner_group: Any = None  # as RLlib's offline algorithms have none

    def train(self) -> dict[str, Any]:
        return self.results.pop(0)

    def save_to_path(self, path: str) -> None:
        Path(path).mkdir()

    def restore_from_path(self, path: str) -> None:
        self.env_runner_group.sync_weights()

    def stop(self) -> None:
        pass


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
