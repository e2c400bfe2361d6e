"""Heads as RLModules: PPO trains them, with and without memory; BC and MARWIL learn the same module."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.algorithms.marwil import MARWILConfig
from ray.rllib.core.columns import Columns

from heist_encoders.errors import ConfigError, UnknownNameError
from heist_encoders.policies.planner import PlannerConfig
from heist_encoders.rllib import PPOOptions, heads, ppo_config
from heist_encoders.rllib.heads import HEAD_KEY, HeadRLModule, PlannerEncoder, head_module_spec
from heist_encoders.zoo.artifact import Artifact

SMALL = PlannerConfig(channels=8, iterations=4, hidden=16, grid=4)


def build(shape: tuple[int, ...], head: str = "planner", extra: int = 0, **options: Any) -> Any:
    spec = head_module_spec(shape, head, planner=SMALL, **options)
    size = int(np.prod(spec.model_config[HEAD_KEY]["shape"])) + extra
    spec.observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)
    spec.action_space = gym.spaces.Discrete(9)
    return spec.build()


@pytest.mark.parametrize("lstm", [False, True])
def test_ppo_trains_a_planner(ray_local: None, lstm: bool) -> None:
    config = ppo_config("conv_unpool", distribution_mode="easy", num_envs=4, lstm=lstm, backend="torch")
    config.training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    algorithm = config.build_algo()
    try:
        module = algorithm.get_module()
        assert isinstance(module, HeadRLModule)
        assert any(isinstance(part, PlannerEncoder) for part in module.modules())
        assert bool(module.get_initial_state()) is lstm
        before = {name: value.clone() for name, value in module.named_parameters()}
        for _ in range(2):
            algorithm.train()
        changed = [name for name, value in algorithm.get_module().named_parameters() if not value.equal(before[name])]
        assert {name.rsplit(".", 2)[-2] for name in changed} >= {"stem", "step", "attention", "features"}
    finally:
        algorithm.stop()


@pytest.mark.parametrize("config_class", [BCConfig, MARWILConfig])
@pytest.mark.parametrize("lstm", [False, True])
def test_bc_and_marwil_learn_the_module_of_ppo(config_class: Any, lstm: bool) -> None:
    spec = head_module_spec((3, 4, 4), planner=SMALL, lstm=lstm)
    observations, actions = gym.spaces.Box(-np.inf, np.inf, (48,), np.float32), gym.spaces.Discrete(9)
    config = config_class().environment(observation_space=observations, action_space=actions)
    config.rl_module(rl_module_spec=spec, model_config=spec.model_config).training(lr=1e-2)
    learner = config.build_learner(spaces={"default_policy": (observations, actions)})
    learner.build()
    module = learner.module["default_policy"].unwrapped()
    assert isinstance(module, HeadRLModule)
    rng = np.random.default_rng(0)
    obs = torch.tensor(rng.normal(size=(32, 48)), dtype=torch.float32)
    chosen = (obs[:, 0] > 0).long()
    batch: dict[str, Any] = {
        Columns.OBS: obs,
        Columns.ACTIONS: chosen,
        Columns.ADVANTAGES: torch.ones(32),
        Columns.VALUE_TARGETS: torch.ones(32),
        Columns.LOSS_MASK: torch.ones(32, dtype=torch.bool),
    }
    if lstm:
        batch = {key: value.reshape(4, 8, *value.shape[1:]) for key, value in batch.items()}
        batch[Columns.STATE_IN] = {
            key: torch.zeros(4, *value.shape) for key, value in module.get_initial_state().items()
        }
    losses = []
    for _ in range(60):
        outputs = {"default_policy": module.forward_train(batch)}
        loss = learner.compute_losses(fwd_out=outputs, batch={"default_policy": batch})
        gradients = learner.compute_gradients(loss)
        learner.apply_gradients(gradients)
        losses.append(float(loss["default_policy"].detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_values_of_a_train_batch_need_no_graph_and_few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build((3, 4, 4))
    obs = torch.from_numpy(np.random.default_rng(1).normal(size=(10, 48)).astype(np.float32))
    values = module.compute_values({Columns.OBS: obs})  # as RLlib asks for them
    assert not values.requires_grad
    monkeypatch.setattr(heads, "ROWS", 4)
    torch.testing.assert_close(module.compute_values({Columns.OBS: obs}), values)
    outputs = module.forward_train({Columns.OBS: obs})
    assert module.compute_values({Columns.OBS: obs}, outputs[Columns.EMBEDDINGS]).requires_grad
    assert outputs[Columns.ACTION_DIST_INPUTS].requires_grad


def test_auto() -> None:
    kinds = {
        shape: head_module_spec(shape).model_config[HEAD_KEY]["kind"]
        for shape in [(32, 6, 6), (64,), (128, 1, 1), (12, 9, 9)]
    }
    assert kinds == {(32, 6, 6): "planner", (64,): "mlp", (128, 1, 1): "mlp", (12, 9, 9): "planner"}


def test_planner_on_a_flat_encoding_and_mlp_on_a_spatial_one() -> None:
    obs = {Columns.OBS: torch.randn(5, 27)}
    for module in (build((27,)), build((3, 3, 3), "mlp")):
        assert module.forward_inference(obs)[Columns.ACTION_DIST_INPUTS].shape == (5, 9)
        assert module.compute_values(obs).shape == (5,)


def test_observations_reach_the_planner_in_their_shape() -> None:
    """Stacked encodings are channels of one plan; the previous action and reward go past it."""
    module = build((2, 3, 3), frame_stack=2, extra=10)
    encoder = next(part for part in module.modules() if isinstance(part, PlannerEncoder))
    assert encoder.planner.shape == (4, 3, 3)
    obs = torch.randn(5, 46)
    features = encoder({Columns.OBS: obs})["encoder_out"]
    torch.testing.assert_close(features[:, :16], encoder.planner(obs[:, :36].reshape(5, 4, 3, 3)))
    torch.testing.assert_close(features[:, 16:], obs[:, 36:])


def test_values_from_embeddings_are_those_from_observations() -> None:
    module = build((2, 3, 3))
    batch = {Columns.OBS: torch.randn(5, 18)}
    embeddings = module.forward_train(batch)[Columns.EMBEDDINGS]
    torch.testing.assert_close(module.compute_values(batch, embeddings), module.compute_values(batch))


def test_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'planner'"):
        head_module_spec((2, 3, 3), "planer")
    with pytest.raises(ConfigError, match="channels"):
        head_module_spec((2, 3, 3), planner={"channels": 0})
    with pytest.raises(ConfigError, match="expected at least 18"):
        build((2, 3, 3), extra=-1)


def test_fine_tuned_encoder_below_a_planner(ray_local: None, image_artifact: Artifact) -> None:
    config = ppo_config(image_artifact, placement="module", fine_tune=0.1, num_envs=4)
    algorithm = config.training(train_batch_size_per_learner=16, minibatch_size=16, num_epochs=1).build_algo()
    try:
        assert any(isinstance(part, PlannerEncoder) for part in algorithm.get_module().modules())
        algorithm.train()
    finally:
        algorithm.stop()


def test_head_is_an_option_of_ppo_config() -> None:
    assert PPOOptions().head == "auto"
    config = ppo_config("conv_unpool", distribution_mode="easy", head="mlp", num_envs=4)
    assert config.model_config[HEAD_KEY]["kind"] == "mlp"
