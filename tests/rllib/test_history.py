"""Stacked encodings, previous action and reward: with two placements, with and without LSTM, from checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.policies.play import StepInput
from heist_encoders.rllib import RLlibPlayer, evaluate_policy
from heist_encoders.rllib.registration import create_env
from heist_encoders.zoo.artifact import Artifact
from tests.rllib.test_ppo import played_actions

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
Tiny = Callable[..., Any]


@pytest.mark.parametrize(("placement", "lstm"), [("env", True), ("preprocessor", False)])
def test_frame_stack_and_previous_action(tiny: Tiny, tmp_path: Path, placement: str, lstm: bool) -> None:
    config = tiny(placement=placement, lstm=lstm, frame_stack=3, previous_action_reward=True, num_env_runners=int(lstm))
    algorithm = config.build_algo()
    try:
        assert algorithm.train()["env_runners"]["num_env_steps_sampled"] == 64
        expected = played_actions(RLlibPlayer.from_algorithm(algorithm, greedy=True))
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
        evaluation = evaluate_policy(algorithm, levels=1, greedy=True)
    finally:
        algorithm.stop()
    alone = RLlibPlayer.from_checkpoint(path, env=config.env, env_config=config.env_config, greedy=True)
    np.testing.assert_array_equal(played_actions(alone), expected)
    again = evaluate_policy(path, env=config.env, env_config=config.env_config, levels=1, greedy=True)
    assert again.levels == evaluation.levels


@pytest.mark.parametrize("steps", [6, 90])
def test_the_player_sees_what_the_environment_shows(tiny: Tiny, artifact: Artifact, steps: int) -> None:
    """Through the connector and through the environment, over the 64 steps after which episodes are cut."""
    options = {"distribution_mode": "memory", "actions": "moves", "backend": "torch", "normalize": True}
    history = {"frame_stack": 3, "previous_action_reward": True}
    shown: dict[str, list[NDArray[np.float32]]] = {}
    actions: NDArray[np.int64] = np.zeros((0, 2), dtype=np.int64)
    for placement in ("env", "preprocessor"):
        algorithm = tiny(placement=placement, **history).build_algo()
        try:
            player = RLlibPlayer.from_algorithm(algorithm, greedy=True)
            algorithm.get_module().load_state_dict(
                {name: torch.zeros_like(value) + 0.01 for name, value in algorithm.get_module().state_dict().items()}
            )
            shown[placement] = []
            with Engine(2) as engine:
                engine.load_levels([0, 1])
                player.start([0, 1])
                chosen = []
                for _ in range(steps):
                    seen = engine.observe()
                    chosen.append(player.act(StepInput(np.arange(2), seen.frames, seen.rewards, engine)))
                    shown[placement].append(np.stack([player._episodes[game].get_observations(-1) for game in (0, 1)]))
                    engine.act(chosen[-1])
            actions = np.array(chosen)
        finally:
            algorithm.stop()
    env: Any = create_env({**options, **history, "encoder": artifact.reference, "num_envs": 2})
    try:
        rows = [env.reset(options={"level_seed": [0, 1]})[0]]
        rows += [env.step(row)[0] for row in actions[:-1]]
    finally:
        env.close()
    for placement, observations in shown.items():
        np.testing.assert_allclose(np.array(observations), np.array(rows), rtol=1e-4, atol=1e-5, err_msg=placement)
