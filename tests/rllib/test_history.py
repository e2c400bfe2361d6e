"""Stacked encodings, previous action and reward: with two placements, with and without LSTM, from checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import EnvToModulePipeline, MeanStdFilter
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from heist_encoders.engine import Engine
from heist_encoders.envs.history import History
from heist_encoders.policies.play import StepInput
from heist_encoders.rllib import EncodeObservations, RLlibPolicy, evaluate_policy
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.rllib.registration import create_env
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.options import EncoderOptions
from tests.rllib.test_ppo import played_actions

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
Tiny = Callable[..., Any]


@pytest.mark.parametrize(("placement", "lstm"), [("env", True), ("preprocessor", False)])
def test_frame_stack_and_previous_action(tiny: Tiny, tmp_path: Path, placement: str, lstm: bool) -> None:
    config = tiny(placement=placement, lstm=lstm, frame_stack=3, previous_action_reward=True, num_env_runners=int(lstm))
    algorithm = config.build_algo()
    try:
        assert algorithm.train()["env_runners"]["num_env_steps_sampled"] == 64
        expected = played_actions(RLlibPolicy.from_algorithm(algorithm, greedy=True))
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
        evaluation = evaluate_policy(algorithm, levels=1, greedy=True)
    finally:
        algorithm.stop()
    alone = RLlibPolicy.from_checkpoint(path, env=config.env, env_config=config.env_config, greedy=True)
    np.testing.assert_array_equal(played_actions(alone), expected)
    again = evaluate_policy(path, env=config.env, env_config=config.env_config, levels=1, greedy=True)
    assert again.levels == evaluation.levels


def test_history_is_kept_apart_from_what_other_connectors_write(artifact: Artifact) -> None:
    """A filter behind the connector normalises each encoding of a stack once, not again with every step."""
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    encoded = FrameEncoder(artifact, options=EncoderOptions(backend="torch"))(frames)
    spaces = {
        "input_observation_space": gym.spaces.Box(0, 255, (64, 64, 3), np.uint8),
        "input_action_space": gym.spaces.Discrete(9),
    }
    seen: list[NDArray[np.float32]] = []

    class Spy(ConnectorV2):
        def __call__(self, *, batch: Any, episodes: Any, **kwargs: Any) -> Any:
            seen.extend(episode.get_observations(-1).copy() for episode in episodes)
            return batch

    encode = EncodeObservations(artifact, backend="torch", frame_stack=2, previous_action_reward=True)
    pipeline = EnvToModulePipeline(**spaces, connectors=[encode, Spy(), MeanStdFilter()])
    episode = SingleAgentEpisode()
    episode.add_env_reset(observation=frames[0])
    pipeline(rl_module=None, batch={}, episodes=[episode], explore=False)
    for step, frame in enumerate(frames[1:]):
        if step == 1:
            episode = episode.cut(len_lookback_buffer=1)
        episode.add_env_step(observation=frame, action=step, reward=0.5)
        pipeline(rl_module=None, batch={}, episodes=[episode], explore=False)
    size = encoded.shape[1]
    np.testing.assert_allclose(
        np.array(seen)[:, : 2 * size],
        np.concatenate([encoded[[0, 0, 1, 2]], encoded], axis=1), rtol=1e-4, atol=1e-5,
    )  # fmt: skip
    np.testing.assert_array_equal(np.array(seen)[:, 2 * size :].argmax(axis=1), [0, 0, 1, 2])


def test_the_player_keeps_history_apart_too() -> None:
    seen: list[Any] = []

    def env_to_module(*, episodes: Any, **kwargs: Any) -> Any:
        for episode in episodes:
            seen.append(episode.get_observations(-1).copy())
            episode.set_observations(at_indices=-1, new_data=np.full(4, -1, np.float32))
        return {}

    class Module:
        def forward_exploration(self, batch: Any, t: int) -> Any:
            return batch

    encodings = iter(np.arange(6, dtype=np.float32).reshape(3, 1, 2))
    encode: Any = lambda frames: next(encodings)  # noqa: E731
    player = RLlibPolicy(
        Module(), env_to_module, lambda **kwargs: {"actions": np.zeros(1, np.int64)}, encode=encode,
        history=History(2, frame_stack=2),
    )  # fmt: skip
    player.start([0])
    for _ in range(3):
        player.act(StepInput(np.zeros(1, np.int64), np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1, np.float32), None))  # type: ignore[arg-type]
    assert [row.tolist() for row in seen] == [[0, 1, 0, 1], [0, 1, 2, 3], [2, 3, 4, 5]]


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
            player = RLlibPolicy.from_algorithm(algorithm, greedy=True)
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
