"""Longer training, policy and report after sweeps that are there already; without Ray."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.pipeline import policy_stages, stages
from heist_encoders.pipeline.progress import Silent
from heist_encoders.pipeline.stages import Job
from heist_encoders.pipeline.state import RunOptions, open_state
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.evaluate import play_levels


class Lines(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.details: list[str] = []

    def count(self, done: float, total: float, detail: str = "") -> None:
        assert 0 <= done <= total * 1.001
        self.details.append(detail)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run with a dataset and a winner of a sweep, evaluated."""
    from heist_encoders.training.train import train
    from heist_encoders.zoo import promote, save_artifact

    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(stages, "MAP_SAMPLES", 64)
    monkeypatch.setattr(stages, "PROBE_FRAMES", 128)
    options = RunOptions.from_dict(
        {
            "architectures": ["compact"],
            "size": 1024,
            "train_frames": 200,
            "policy_frames": 10_240,
            "evaluation_levels": 12,
            "seed": 3,
        }
    )
    out = tmp_path / "small"
    with open_state(out, options) as state:
        dataset = generate_local(DatasetSpec.from_dict({"distribution_mode": "easy", "size": 1024}), out / "data")
        state.finish("data", {"hash": dataset.hash}, 1.0)
        result = train({"autoencoder": "compact", "max_epochs": 1, "max_samples": 64, "threads": 1}, dataset)
        made = save_artifact(
            tmp_path / "artifact", result, name="trial", dataset=dataset, training=result.record(), metrics={}
        )
        winner = promote(made, "compact-small", provenance={"trial_id": "t1"})
        state.finish(
            "sweep:compact",
            {"family": "compact", "name": winner.name, "artifact": str(winner.path), "sha256": winner.sha256},
            1.0,
        )
        state.finish("evaluate:compact", {"miou": 0.2}, 1.0)
        yield Job(out, options, state, None, Lines())


def test_a_policy_on_a_longer_trained_winner(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = policy_stages.make_training(job)
    assert longer["name"] == "compact-small-long"
    assert longer["frames"] >= 200
    assert longer["miou"] > 0
    assert policy_stages.training_intact(job, longer)
    assert policy_stages.make_training(job)["name"] == longer["name"], "done again it must find its own artifact"
    job.state.finish("train", longer, 1.0)
    assert stages.encoder_of(job)["sha256"] == longer["sha256"]

    learned = policy_stages.make_policy(job)
    assert learned["name"] == "small"
    assert learned["encoder"] == longer["name"]
    assert re.fullmatch(
        r"Class A: encoder trained without labels, policy by reward alone; 10,240 frames played; encoder trained on "
        r"[\d,]+ frames without labels\.",
        learned["class"],
    )
    assert learned["class"] in policy_stages.policy_outcome(learned)
    assert policy_stages.policy_intact(job, learned)
    again = load_policy("small", distribution_mode="easy")
    assert load_policy(job.out / "policy").head.logits.weight.equal(again.head.logits.weight)
    levels = EVALUATION_LEVELS[:12]
    figures = play_levels(again, "easy", levels, seed=3).to_dict()
    assert figures["return_mean"] == learned["policy"]["return_mean"]
    assert figures["return_mean"] == again.metrics["evaluation"]["return_mean"]
    job.state.finish("policy", learned, 1.0)

    # The same name again for the same encoder, another one for another.
    assert policy_stages._policy_name("small", longer["sha256"]) == "small"
    assert policy_stages._policy_name("small", "0" * 64) == "small-2"

    if learned["video"] is not None:
        Path(learned["video"]["path"]).unlink()
        assert not policy_stages.policy_intact(job, learned)
    (tmp_path / "home" / "policies" / "small" / "policy.safetensors").unlink()
    assert not policy_stages.policy_intact(job, learned)
    job.state.forget("train")
    assert list(job.state.stages) == ["data", "sweep:compact", "evaluate:compact"]
    assert stages.encoder_of(job)["name"] == "compact-small"
    assert isinstance(job.progress, Lines)
    assert any("frames learned from" in line for line in job.progress.details)
