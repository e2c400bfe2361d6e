"""Policies by ``hf://``: they take their encoder along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import heist_encoders
from heist_encoders.errors import ArtifactError
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.zoo.artifact import Artifact
from tests.policies.test_artifact import EVALUATION
from tests.policies.test_policy import make_policy
from tests.zoo.hub_server import Hub
from tests.zoo.making import played_frames


def test_there_and_back(hub: Hub, artifact: Artifact, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    policy = make_policy(artifact, name="mine", training={"class": "D"}, metrics={"evaluation": EVALUATION})
    uri = heist_encoders.push_to_hub(policy, "me/policy")
    (files,) = hub.repositories["me/policy"]
    own = ["README.md", "config.json", "metrics.json"]
    encoder = [f"encoder/{name}" for name in (*own, "model.safetensors")]
    assert sorted(files) == sorted([*own, "policy.safetensors", *encoder])
    # The encoder is in nobody's zoo here: it comes along.
    loaded = load_policy("hf://me/policy", backend="torch")
    assert loaded.artifact.sha256 == artifact.sha256
    frames = played_frames(4)
    np.testing.assert_array_equal(loaded.logits(frames), policy.logits(frames))
    assert load_policy(uri).name == "mine"
    assert heist_encoders.load_encoder("hf://me/policy/encoder").artifact.sha256 == artifact.sha256
    data = ModelCard(files["README.md"].decode()).data
    assert (data.library_name, data.pipeline_tag) == ("heist-encoders", "reinforcement-learning")
    assert data.eval_results is not None
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        "mean_reward": 9.1, "success_rate": 0.91,
    }  # fmt: skip
    assert 'load_policy("hf://me/policy", distribution_mode="memory")' in files["README.md"].decode()
    # A copy of the whole repository on a disk is a policy too.
    for name, content in files.items():
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_bytes(content)
    assert load_policy(tmp_path / "clone").artifact.sha256 == artifact.sha256


def test_errors(hub: Hub, artifact: Artifact, tmp_path: Path) -> None:
    folder = save_policy(make_policy(artifact, name="alone"), tmp_path / "alone")
    hub.put("me/alone", {path.name: path.read_bytes() for path in folder.iterdir()})
    with pytest.raises(ArtifactError, match=r"needs encoder '\w+' .* nor at hf://me/alone/encoder \(hf://"):
        load_policy("hf://me/alone")
    assert load_policy("hf://me/alone", encoder=artifact).name == "alone"
    with pytest.raises(ArtifactError, match=r"there is no hf://me/none"):
        load_policy("hf://me/none")
    heist_encoders.push_to_hub(artifact, "me/encoder")
    with pytest.raises(ArtifactError, match=r"model\.safetensors.*those of a policy are .*policy\.safetensors"):
        load_policy("hf://me/encoder")
    with pytest.raises(ArtifactError, match=r"policy\.safetensors.*those of an artifact are .*model\.safetensors"):
        heist_encoders.load_encoder("hf://me/alone")
