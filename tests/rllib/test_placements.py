"""Environment, preprocessor and module give the policy the same encodings; the preprocessor is small and lazy."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.connectors.env_to_module import EnvToModulePipeline
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from heist_encoders.envs import make_vector_env
from heist_encoders.errors import ArtifactError, ConfigError, UnknownNameError
from heist_encoders.rllib import EncodeObservations, register
from heist_encoders.rllib.encoding import FrameEncoder
from heist_encoders.rllib.module import EncoderPPOCatalog, PretrainedEncoder, module_options
from heist_encoders.rllib.registration import create_env
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.options import EncoderOptions

FRAMES = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
ACTIONS = gym.spaces.Discrete(9)


def episodes_of(frames: Any) -> list[SingleAgentEpisode]:
    episodes = [SingleAgentEpisode(observation_space=FRAMES, action_space=ACTIONS) for _ in frames]
    for episode, frame in zip(episodes, frames, strict=True):
        episode.add_env_reset(observation=frame)
    return episodes


@pytest.mark.parametrize("which", ["artifact", "image_artifact"])
@pytest.mark.parametrize("normalize", [False, True])
def test_three_ways_give_the_same_encodings(which: str, normalize: bool, request: pytest.FixtureRequest) -> None:
    artifact: Artifact = request.getfixturevalue(which)
    options = {"num_envs": 5, "actions": "moves"}
    encoded: Any = create_env({**options, "encoder": artifact.reference, "normalize": normalize, "backend": "torch"})
    pixels = make_vector_env(None, **options)  # type: ignore[arg-type]
    connector = EncodeObservations(
        artifact,
        normalize=normalize,
        backend="torch",
        input_observation_space=FRAMES,
        input_action_space=ACTIONS,
    )
    module = (
        RLModuleSpec(
            module_class=_ppo_module(),
            catalog_class=EncoderPPOCatalog,
            observation_space=FRAMES,
            action_space=ACTIONS,
            model_config={
                "vf_share_layers": True,
                "heist_encoder": module_options(artifact, normalize=normalize),
            },
        )
        .build()
        .train()
    )
    (part,) = [part for part in module.modules() if isinstance(part, PretrainedEncoder)]
    size = int(np.prod(artifact.encoding_shape))
    try:
        assert encoded.single_observation_space.shape == connector.observation_space.shape == (size,)
        assert encoded.metadata["autoreset_mode"] == gym.vector.AutoresetMode.NEXT_STEP
        by_env, frames = encoded.reset(seed=3)[0], pixels.reset(seed=3)[0]
        for action in (0, 3, 8):
            episodes = episodes_of(frames)
            connector(rl_module=None, batch={}, episodes=episodes)
            by_connector = np.stack([episode.get_observations(-1) for episode in episodes])
            by_module = part.encodings(torch.from_numpy(frames)).numpy()
            np.testing.assert_array_equal(by_connector, by_env)
            np.testing.assert_allclose(by_module, by_env, rtol=1e-4, atol=1e-5)
            assert by_connector.dtype == by_env.dtype == np.float32
            by_env, frames = encoded.step(np.full(5, action))[0], pixels.step(np.full(5, action))[0]
    finally:
        encoded.close()
        pixels.close()


def _ppo_module() -> Any:
    from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule

    return DefaultPPOTorchRLModule


def test_connector_is_small_and_survives_a_checkpoint(artifact: Artifact, tmp_path: Path) -> None:
    connector = EncodeObservations(artifact, backend="torch")
    assert len(pickle.dumps(connector)) < 2_000
    pipeline = EnvToModulePipeline(input_observation_space=FRAMES, input_action_space=ACTIONS, connectors=[connector])
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    expected = _through(pipeline, frames)
    # Most of it are the bounds of the frames' space.
    assert len(pickle.dumps(connector)) < 60_000
    assert len(pickle.dumps(connector._encode)) < 1_000
    assert connector.get_state() == {}
    _, kwargs = connector.get_ctor_args_and_kwargs()
    assert kwargs["encoder"] == artifact.reference
    again = EncodeObservations(artifact, backend="torch", threads=2)
    _, kwargs = again.get_ctor_args_and_kwargs()
    assert EncodeObservations(**kwargs)._encode.options == EncoderOptions(device="cpu", backend="torch", threads=2)
    with pytest.raises(UnknownNameError, match=r"unknown option .backen.; did you mean .backend."):
        EncodeObservations(artifact, backen="torch")

    pipeline.save_to_path(str(tmp_path / "pipeline"), state=pipeline.get_state())
    stored = sum(path.stat().st_size for path in (tmp_path / "pipeline").rglob("*"))
    assert stored < 150_000 < (artifact.path / "model.safetensors").stat().st_size
    restored = EnvToModulePipeline.from_checkpoint(str(tmp_path / "pipeline"))
    np.testing.assert_array_equal(_through(restored, frames), expected)
    assert restored.observation_space == pipeline.observation_space


def _through(pipeline: Any, frames: Any) -> Any:
    episodes = episodes_of(frames)
    pipeline(rl_module=None, batch={}, episodes=episodes, explore=False)
    return np.stack([episode.get_observations(-1) for episode in episodes])


@pytest.mark.usefixtures("ray_local")
def test_encodes_once_a_vector_step(tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    encode = FrameEncoder.__call__

    def counted(self: FrameEncoder, frames: Any) -> Any:
        calls.append(len(frames))
        return encode(self, frames)

    monkeypatch.setattr(FrameEncoder, "__call__", counted)
    algorithm = tiny(placement="preprocessor").build_algo()
    try:
        algorithm.train()
        # The reset, then 16 steps of 4 games.
        assert calls == [4] * 17
        algorithm.train()
        assert calls == [4] * 33
    finally:
        algorithm.stop()


def test_connector_wants_frames(artifact: Artifact) -> None:
    box = gym.spaces.Box(-1, 1, (32,), np.float32)
    with pytest.raises(ConfigError, match="expected frames"):
        EncodeObservations(artifact, input_observation_space=box, input_action_space=ACTIONS)
    with pytest.raises(ArtifactError, match="trained on memory"):
        EncodeObservations(artifact, distribution_mode="easy")


def test_reference_refuses_other_weights(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError):
        EncodeObservations({**artifact.reference, "sha256": "0" * 64})


def test_registered_names(image_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray.tune.registry import ENV_CREATOR, _global_registry

    from heist_encoders.zoo import promote

    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path))
    promote(image_artifact, "my_unpool")
    names = register()
    assert {"heist-pixels", "heist-my-unpool"} <= set(names)
    creator = _global_registry.get(ENV_CREATOR, "heist-my-unpool")
    assert len(pickle.dumps(creator)) < 1_000
    single, vector = creator({"actions": "moves"}), creator({"num_envs": 2})
    try:
        assert single.observation_space.shape == vector.single_observation_space.shape == (1152,)
        assert single.reset(seed=0)[0].shape == (1152,)
        assert vector.reset(seed=0)[0].shape == (2, 1152)
        assert (single.action_space.n, vector.single_action_space.n) == (9, 15)
    finally:
        single.close()
        vector.close()
