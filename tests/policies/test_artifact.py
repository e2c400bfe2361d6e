from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heist_encoders.errors import ArtifactError, UnknownNameError
from heist_encoders.files import sha256_of
from heist_encoders.policies.artifact import WEIGHTS, load_policy, policy_names, save_policy
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.lookup import promote
from tests.policies.test_policy import make_policy
from tests.zoo.making import make_artifact, played_frames

EVALUATION = {
    "num_levels": 100, "return_mean": 9.1, "return_interval": [8.5, 9.7], "success_rate": 0.91, "greedy": False,
    "by_num_keys": {"0": {"num_levels": 100, "return_mean": 9.1, "success_rate": 0.91, "length_mean": 40.0}},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "lstm"), [("planner", 0), ("mlp", 0), ("planner", 8)])
def test_round_trip(artifact: Artifact, tmp_path: Path, kind: str, lstm: int) -> None:
    policy = make_policy(
        artifact,
        lstm,
        kind,
        name="mine",
        training={"class": "D", "demonstration_frames": 5},
        metrics={"evaluation": EVALUATION},
    )
    folder = save_policy(policy, tmp_path / "mine")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "metrics.json", WEIGHTS]
    loaded = load_policy(folder, encoder=artifact, backend="torch")
    frames = played_frames(8)
    np.testing.assert_array_equal(loaded.logits(frames), policy.logits(frames))
    assert loaded.head.config == policy.head.config
    assert (loaded.name, loaded.training, loaded.metrics) == ("mine", policy.training, policy.metrics)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Class D: learned from the oracle's moves; 5 labelled frames." in card
    assert "8.50 to 9.70" in card
    assert str(tmp_path) not in (folder / "config.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("repeat", [1, 4])
def test_held_actions_are_kept(artifact: Artifact, tmp_path: Path, repeat: int) -> None:
    folder = save_policy(make_policy(artifact, action_repeat=repeat), tmp_path / "mine")
    assert load_policy(folder, encoder=artifact).action_repeat == repeat
    assert ("held for 4 steps" in (folder / "README.md").read_text(encoding="utf-8")) == (repeat == 4)


def test_names_and_encoders_are_found_in_the_users_zoo(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path))
    policy = make_policy(artifact)
    save_policy(policy, tmp_path / "policies" / "mine")
    assert "mine" in policy_names()
    with pytest.raises(ArtifactError, match="needs encoder 'policy_maxpool'"):
        load_policy("mine")
    encoder = promote(artifact, "policy_maxpool")
    assert load_policy("mine", distribution_mode="memory").artifact.sha256 == encoder.sha256
    with pytest.raises(ArtifactError, match="plays memory mode, asked for easy"):
        load_policy("mine", distribution_mode="easy")
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        load_policy("mime")


def test_other_weights_of_the_encoder_are_refused(artifact: Artifact, tmp_path: Path) -> None:
    other = make_artifact(tmp_path / "policy_maxpool", "conv_maxpool", seed=1)
    folder = save_policy(make_policy(artifact), tmp_path / "mine")
    with pytest.raises(ArtifactError, match="was trained on"):
        load_policy(folder, encoder=other)


def test_nothing_is_overwritten_unasked(artifact: Artifact, tmp_path: Path) -> None:
    policy = make_policy(artifact)
    folder = save_policy(policy, tmp_path / "mine")
    with pytest.raises(ArtifactError, match="already exists"):
        save_policy(policy, folder)
    save_policy(policy, folder, name="renamed", replace=True)
    assert load_policy(folder, encoder=artifact).name == "renamed"
    with pytest.raises(ArtifactError, match="no policy"):
        save_policy(policy, artifact.path, replace=True)


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        file = folder / "config.json"
        data = json.loads(file.read_text(encoding="utf-8"))
        change(data)
        file.write_text(json.dumps(data), encoding="utf-8")

    return edit


def _reweighed(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    _edit(lambda data: data["files"].update({WEIGHTS: sha256_of(folder / WEIGHTS)}))(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "policy.safetensors is missing"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"x"), "truncated or altered"),
        (lambda folder: (folder / "metrics.json").write_text("{}  "), "truncated or altered"),
        (lambda folder: (folder / "config.json").unlink(), "no policy: config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "truncated or altered"),
        (_edit(lambda data: data.update(format_version=2)), "format_version 2, expected 1"),
        (_edit(lambda data: data.update(extra=1)), "unknown key 'extra'"),
        (_edit(lambda data: data["head"].update(kind="tree")), "kind"),
        (_edit(lambda data: data["head"]["planner"].update(channels=9)), "does not hold the policy"),
        (_edit(lambda data: data["files"].pop("README.md")), "lists the files"),
        (_edit(lambda data: data["files"].update({"more.bin": "0"})), "lists the files"),
        (_edit(lambda data: data.update(actions="some")), "actions"),
        (_reweighed, "does not hold the policy"),
    ],
)
def test_what_is_odd_is_one_line(
    artifact: Artifact, tmp_path: Path, damage: Callable[[Path], Any], message: str
) -> None:
    folder = save_policy(make_policy(artifact), tmp_path / "mine")
    damage(folder)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_policy(folder, encoder=artifact)
    assert "\n" not in str(caught.value)


def test_no_pickle(tmp_path: Path) -> None:
    (tmp_path / "policy.pt").write_bytes(b"\x80\x04")
    with pytest.raises(ArtifactError, match="pickle"):
        load_policy(tmp_path / "policy.pt")
    with pytest.raises(ArtifactError, match="pickle"):
        load_policy(tmp_path)
