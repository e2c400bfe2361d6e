"""What RLlib trained plays on from a policy artifact, without Ray, as it played in RLlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.policy import PolicyRunner
from heist_encoders.rllib import RLlibPolicy
from heist_encoders.rllib.export import export_policy, head_of
from heist_encoders.rllib.heads import head_module_spec
from heist_encoders.zoo.artifact import Artifact
from tests.rllib.test_ppo import played_actions


@pytest.mark.parametrize("options", [{}, {"lstm": True}, {"mode": "module"}], ids=["env", "lstm", "module"])
def test_plays_as_in_rllib(
    ray_local: None, image_artifact: Artifact, tiny: Callable[..., Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    algorithm = tiny(image_artifact, **options).build_algo()
    try:
        policy = export_policy(algorithm, tmp_path / "mine", training={"class": "B"})
        expected = played_actions(RLlibPolicy.from_algorithm(algorithm, greedy=True))
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    again = load_policy(tmp_path / "mine", encoder=image_artifact, backend="torch")
    assert again.name == policy.name == "mine"
    assert again.normalize
    # Both are torch in float32, but batches and fused kernels differ in the last digits: an action may be a tie.
    assert np.mean(played_actions(PolicyRunner(again, greedy=True))[0] == expected[0]) == 1
    from_checkpoint = export_policy(path, tmp_path / "second", encoder=image_artifact)
    for name, value in from_checkpoint.head.state_dict().items():
        if not name.startswith("value."):  # the algorithm's local module only plays, so it has no value
            assert value.equal(again.head.state_dict()[name])


@pytest.mark.parametrize("cut", ["module_state.pkl", "class_and_ctor_args.pkl"])
def test_a_checkpoint_that_is_cut(cut: str, tmp_path: Path) -> None:
    spec = head_module_spec((3, 4, 4), "mlp")
    spec.observation_space = gym.spaces.Box(-np.inf, np.inf, (48,), np.float32)
    spec.action_space = gym.spaces.Discrete(9)
    module = tmp_path / "learner_group" / "learner" / "rl_module" / "default_policy"
    spec.build().save_to_path(module)
    (tmp_path / "env_runner").mkdir()
    content = (module / cut).read_bytes()
    (module / cut).write_bytes(content[: len(content) // 2])
    told = rf"^cannot read the checkpoint {tmp_path} \([^\n]*if it was cut or altered, delete it[^\n]*$"
    with pytest.raises(ArtifactError, match=told):
        export_policy(tmp_path, tmp_path / "policy")
    with pytest.raises(ArtifactError, match=told):
        RLlibPolicy.from_checkpoint(tmp_path, env="heist-pixels", env_config={})


@pytest.mark.parametrize("head", ["planner", "mlp"])
@pytest.mark.parametrize("lstm", [False, True])
def test_head_gives_the_logits_and_values_of_the_module(head: str, lstm: bool) -> None:
    spec = head_module_spec((3, 4, 4), head, lstm=lstm)
    spec.observation_space = gym.spaces.Box(-np.inf, np.inf, (48,), np.float32)
    spec.action_space = gym.spaces.Discrete(9)
    module = spec.build().eval()
    plain = head_of(module, (3, 4, 4))
    obs = torch.randn(5, 2, 48)
    batch: dict[str, Any] = {Columns.OBS: obs[:, 0]}
    with torch.no_grad():
        logits, values, state = plain(obs[:, 0].reshape(5, 3, 4, 4))
        if lstm:
            initial = module.get_initial_state()
            batch = {Columns.OBS: obs, Columns.STATE_IN: {k: torch.zeros(5, *v.shape) for k, v in initial.items()}}
            second, later, _ = plain(obs[:, 1].reshape(5, 3, 4, 4), state)
            logits, values = torch.stack([logits, second], dim=1), torch.stack([values, later], dim=1)
        torch.testing.assert_close(module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS], logits)
        torch.testing.assert_close(module.compute_values(batch), values)


def test_what_an_artifact_cannot_hold(
    ray_local: None, artifact: Artifact, image_artifact: Artifact, tiny: Callable[..., Any], tmp_path: Path
) -> None:
    for encoder, options, message in (
        (artifact, {"frame_stack": 2}, "earlier steps"),
        (image_artifact, {"mode": "module", "fine_tune": 0.1}, "fine-tuned"),
    ):
        algorithm = tiny(encoder, **options).build_algo()
        try:
            with pytest.raises(ConfigError, match=message):
                export_policy(algorithm, tmp_path / "mine")
        finally:
            algorithm.stop()
    with pytest.raises(ConfigError, match="cannot be exported"):
        export_policy(torch.nn.Linear(1, 1), tmp_path / "mine", encoder=artifact)
    assert not (tmp_path / "mine").exists()
