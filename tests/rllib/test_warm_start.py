"""PPO starts as the policy that it is given plays: the critic learns first, then the pull to the start fades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from heist_encoders.errors import ArtifactError, ConfigError, UnknownNameError
from heist_encoders.policies.artifact import WEIGHTS, save_policy
from heist_encoders.policies.heads import HeadConfig, HeadPolicy
from heist_encoders.policies.planner import PlannerConfig
from heist_encoders.policies.policy import Policy
from heist_encoders.rllib import PPOOptions, export_policy, train_ppo
from heist_encoders.rllib.export import head_of, load_head
from heist_encoders.rllib.heads import head_module_spec
from heist_encoders.rllib.taught import ppo_record
from heist_encoders.rllib.training import _identity
from heist_encoders.rllib.warm_start import head_options
from heist_encoders.zoo.artifact import Artifact
from tests.cli.helpers import Cli

Tiny = Callable[..., Any]
SMALL = PlannerConfig(channels=8, iterations=2, hidden=16, grid=4)
TAUGHT = {"class": "D", "method": "behaviour cloning", "demonstration_frames": 700}


@pytest.fixture
def start(image_artifact: Artifact, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    head = HeadPolicy(image_artifact.encoding_shape, HeadConfig(planner=SMALL, lstm=8))
    return save_policy(Policy(head, image_artifact, training=TAUGHT), tmp_path / "start")


@pytest.mark.parametrize("config", [HeadConfig(planner=SMALL, lstm=8), HeadConfig(kind="mlp", hiddens=[12, 8])])
def test_a_head_goes_into_a_module_and_back(config: HeadConfig) -> None:
    head = HeadPolicy((3, 4, 4), config)
    options = head_options(SimpleNamespace(head=head))  # type: ignore[arg-type]
    spec = head_module_spec((3, 4, 4), **options)
    spec.observation_space = gym.spaces.Box(-np.inf, np.inf, (48,), np.float32)
    spec.action_space = gym.spaces.Discrete(9)
    module = spec.build()
    load_head(module, head)
    for name, value in head_of(module, (3, 4, 4)).state_dict().items():
        assert name.startswith("value.") or value.equal(head.state_dict()[name]), name
    for other in (HeadConfig(kind="mlp", hiddens=[5]), config.model_copy(update={"lstm": 4})):
        with pytest.raises(ConfigError, match="does not fit the module"):
            load_head(module, HeadPolicy((3, 4, 4), other))


@pytest.mark.usefixtures("ray_local")
def test_critic_first_then_a_pull_that_fades(tiny: Tiny, image_artifact: Artifact, start: Path, tmp_path: Path) -> None:
    options = {"warm_start": str(start), "critic_steps": 100, "imitation": 2.0, "imitation_steps": 100}
    algorithm = tiny(image_artifact, **options).build_algo()
    learner = algorithm.learner_group._learner
    given = export_policy(algorithm, tmp_path / "before", encoder=image_artifact).head.state_dict()
    try:
        for iteration in range(4):
            before = {name: value.clone() for name, value in learner.module["default_policy"].named_parameters()}
            figures = algorithm.train()["learners"]["default_policy"]
            moved = {
                name.split(".")[0]
                for name, value in learner.module["default_policy"].named_parameters()
                if not value.equal(before[name])
            }
            # Iterations are of 64 steps: the first lies within the critic's 100.
            assert moved == ({"vf"} if iteration == 0 else {"vf", "pi", "encoder"})
            weight = 2.0 * max(0.0, 1 - max(0, 64 * (iteration + 1) - 100) / 100)
            assert learner.imitation == pytest.approx(weight, abs=0.05)
            if iteration == 0:
                assert figures["imitation_kl"] == pytest.approx(0.0, abs=1e-6)
                assert len(learner.get_optimizer().state) == 2, "Adam has counted no step but of the critic's layer"
            assert np.isfinite(figures.get("imitation_kl", np.nan)) == (weight > 0)
        trained = export_policy(algorithm, tmp_path / "after").training
    finally:
        algorithm.stop()
    for name, value in load_file(start / WEIGHTS).items():
        assert name.startswith("value.") or value.equal(given[name])
    assert (trained["class"], trained["demonstration_frames"], trained["env_steps"]) == ("D", 700, 256)
    assert trained["method"] == "behaviour cloning, then PPO"


@pytest.mark.usefixtures("ray_local")
def test_a_run_goes_on_where_it_was_and_says_its_class(
    capfd: pytest.CaptureFixture[str], tiny: Tiny, image_artifact: Artifact, start: Path, tmp_path: Path
) -> None:
    config = tiny(image_artifact, warm_start=str(start), critic_steps=0)
    run = train_ppo(config, steps=64, out=tmp_path / "run")
    policy = export_policy(run.out, tmp_path / "policy")
    assert (policy.training["class"], policy.training["demonstration_frames"]) == ("D", 700)
    assert policy.training["env_steps"] == 64
    shown = Cli(capfd).ok("ppo", "evaluate", run.out, "--levels", 1, "--json").json
    assert shown["class"].startswith("Class D: learned from the oracle's moves; 700 labelled frames")

    algorithm = config.build_algo()
    try:
        algorithm.restore_from_path(str(run.checkpoint))
        learner = algorithm.learner_group._learner
        shape = image_artifact.encoding_shape
        trained, before = (head_of(module, shape) for module in (learner.module["default_policy"], learner._start))
    finally:
        algorithm.stop()
    for name, value in load_file(start / WEIGHTS).items():
        if not name.startswith("value."):
            assert before.state_dict()[name].equal(value)
            assert trained.state_dict()[name].equal(policy.head.state_dict()[name])
            assert not trained.state_dict()[name].equal(value)


def test_a_run_is_known_by_its_start_and_its_place_does_not_matter(
    tiny: Tiny, image_artifact: Artifact, start: Path
) -> None:
    known = _identity(tiny(image_artifact, warm_start=str(start)))
    moved = start.rename(start.with_name("moved"))
    assert _identity(tiny(image_artifact, warm_start=str(moved))) == known
    assert _identity(tiny(image_artifact, warm_start=str(moved), critic_steps=1)) != known


def test_classes(image_artifact: Artifact, start: Path) -> None:
    def grade(labels: bool | None, before: str | None = "", **options: Any) -> str | None:
        loss = {"weighting": "classes"} if labels else {}
        training = {} if labels is None else {"config": {"loss": loss}, "samples": 5}
        artifact: Any = SimpleNamespace(training=training)
        policy: Any = SimpleNamespace(training={"class": before}, name="start") if before != "" else None
        found: str | None = ppo_record(PPOOptions(**options), artifact, policy).get("class")
        return found

    assert (grade(False), grade(True), grade(None)) == ("A", "B", None)
    assert grade(False, start_share=0.5) == "C"
    assert (grade(False, "D"), grade(None, "D"), grade(True, "A"), grade(False, None)) == ("D", "D", "B", None)


def test_policies_that_do_not_fit(tiny: Tiny, artifact: Artifact, image_artifact: Artifact, start: Path) -> None:
    with pytest.raises(ConfigError, match="normalize = False does not go with"):
        tiny(image_artifact, warm_start=str(start), normalize=False)
    with pytest.raises(ConfigError, match="head = 'mlp' does not go with"):
        tiny(image_artifact, warm_start=str(start), head="mlp")
    with pytest.raises(ConfigError, match="actions = 'all' does not go with"):
        tiny(image_artifact, warm_start=str(start), actions="all")
    with pytest.raises(ArtifactError, match="was trained on"):
        tiny(artifact, warm_start=str(start))
    with pytest.raises(ConfigError, match="expected single encodings"):
        tiny(image_artifact, warm_start=str(start), frame_stack=2)
    with pytest.raises(UnknownNameError, match="unknown policy 'bst'; did you mean 'best'"):
        tiny(image_artifact, warm_start="bst")
