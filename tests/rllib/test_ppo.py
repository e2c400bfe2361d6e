"""PPO trains with every placement of the encoder; checkpoints play on; off-policy algorithms work as well."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import ray
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from heist_encoders.engine import Engine
from heist_encoders.errors import ArtifactError, ConfigError, ResourceError, UnknownNameError
from heist_encoders.policies.play import StepInput
from heist_encoders.rllib import RLlibPolicy, evaluate_policy, ppo_config
from heist_encoders.rllib.module import PretrainedEncoder
from heist_encoders.zoo.artifact import Artifact

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
Tiny = Callable[..., Any]


def played_actions(player: Any, steps: int = 20, games: int = 3) -> NDArray[np.int64]:
    """int (steps, games): what a player does from the start of three levels on."""
    chosen = []
    with Engine(games) as engine:
        engine.load_levels(list(range(games)))
        player.start(list(range(games)))
        for _ in range(steps):
            seen = engine.observe()
            chosen.append(player.act(StepInput(np.arange(games), seen.frames, seen.rewards, engine)))
            engine.act(chosen[-1])
    return np.array(chosen)


@pytest.mark.parametrize("placement", ["env", "preprocessor", "module"])
def test_trains_and_plays_on_from_a_checkpoint(tiny: Tiny, tmp_path: Path, placement: str) -> None:
    algorithm = tiny(placement=placement).build_algo()
    try:
        result = algorithm.train()
        assert result["env_runners"]["num_env_steps_sampled"] == 64
        expected = played_actions(RLlibPolicy.from_algorithm(algorithm, greedy=True))
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
        config = algorithm.config
    finally:
        algorithm.stop()
    assert len(np.unique(expected)) > 1
    alone = RLlibPolicy.from_checkpoint(path, env=config.env, env_config=config.env_config, greedy=True)
    np.testing.assert_array_equal(played_actions(alone), expected)
    restored = type(algorithm).from_checkpoint(path)
    try:
        np.testing.assert_array_equal(played_actions(RLlibPolicy.from_algorithm(restored, greedy=True)), expected)
        assert restored.train()["num_env_steps_sampled_lifetime"] == 128
    finally:
        restored.stop()


def test_remote_env_runners_and_lstm(tiny: Tiny) -> None:
    algorithm = tiny(placement="preprocessor", num_env_runners=2, lstm=True).build_algo()
    try:
        assert algorithm.train()["env_runners"]["num_env_steps_sampled"] == 64
        played_actions(RLlibPolicy.from_algorithm(algorithm, greedy=True), steps=2)
        module = algorithm.get_module()
        assert "h" in module.get_initial_state()
        learned = algorithm.learner_group.get_state()["learner"]["rl_module"]["default_policy"]
        # The local module, which RLlibPolicy plays with, has what was learned; RLlib sends no values to players.
        for name, value in module.state_dict().items():
            if not name.startswith("vf."):
                np.testing.assert_array_equal(value.numpy(), learned[name])
    finally:
        algorithm.stop()


@pytest.mark.parametrize("num_env_runners", [0, 1])
def test_threads_are_capped_where_games_are_played_and_learned(tiny: Tiny, num_env_runners: int) -> None:
    before = torch.get_num_threads()
    options = {"backend": "openvino"} if importlib.util.find_spec("openvino") else {}
    # Ray gives env runners OMP_NUM_THREADS=1, so that 2 must come from the option.
    algorithm = tiny(num_env_runners=num_env_runners, threads=2, **options).build_algo()
    try:

        def threads(runner: Any) -> tuple[int, int]:
            return torch.get_num_threads(), runner.env.unwrapped.encoder.threads

        found = algorithm.env_runner_group.foreach_env_runner(threads, local_env_runner=num_env_runners == 0)
        assert found == [(2, 2)]
        assert torch.get_num_threads() == 2
    finally:
        algorithm.stop()
        torch.set_num_threads(before)


@pytest.mark.parametrize("fine_tune", [None, 0.1])
def test_encoder_is_trained_only_when_asked(tiny: Tiny, image_artifact: Artifact, fine_tune: float | None) -> None:
    algorithm = tiny(image_artifact, placement="module", fine_tune=fine_tune, lstm=True).build_algo()
    try:
        algorithm.train()
        module = algorithm.learner_group._learner.module["default_policy"]
        (part,) = [part for part in module.modules() if isinstance(part, PretrainedEncoder)]
        before = image_artifact.load_model().state_dict()
        after = part.autoencoder.state_dict()
        moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert bool(moved) is bool(fine_tune)
        # Batch norms keep the statistics that they were trained with.
        assert not any("running" in name for name in moved)
        assert any("autoencoder" in name for name in module.state_dict()) is bool(fine_tune)
        if fine_tune:
            rates = {
                name: optimizer.param_groups[0]["lr"]
                for name, optimizer in algorithm.learner_group._learner._named_optimizers.items()
            }
            assert rates["default_policy_encoder"] == pytest.approx(0.1 * rates["default_policy_policy"])
    finally:
        algorithm.stop()


def built_module(config: Any) -> Any:
    spaces = (gym.spaces.Box(0, 255, (64, 64, 3), np.uint8), gym.spaces.Discrete(9))
    return config.get_rl_module_spec(spaces={"default_policy": spaces}).build()


@pytest.mark.parametrize("given", [{"fcnet_hiddens": [32]}, DefaultModelConfig(fcnet_hiddens=[32])])
def test_another_model_config_keeps_the_encoder(tiny: Tiny, artifact: Artifact, given: Any) -> None:
    config = tiny(placement="module").rl_module(model_config=given)
    (part,) = [part for part in built_module(config).modules() if isinstance(part, PretrainedEncoder)]
    assert part.then.net.mlp[0].out_features == 32
    # Of a dictionary only its own keys are new; a DefaultModelConfig says what all of RLlib's are.
    assert config.model_config["fcnet_activation"] == ("relu" if isinstance(given, dict) else "tanh")
    expected = artifact.load_model().state_dict()
    for name, value in part.autoencoder.state_dict().items():
        assert torch.equal(value, expected[name])


def test_another_module_spec_keeps_the_encoder(tiny: Tiny) -> None:
    config = tiny(placement="module").rl_module(rl_module_spec=RLModuleSpec(load_state_path="nowhere"))
    assert any(isinstance(part, PretrainedEncoder) for part in built_module(config).modules())
    other = config.rl_module(rl_module_spec=RLModuleSpec(catalog_class=PPOCatalog))
    assert other.rl_module_spec.catalog_class is PPOCatalog


def test_a_model_config_reaches_policies_on_encodings(tiny: Tiny) -> None:
    config = tiny().rl_module(model_config={"fcnet_hiddens": [32]})
    assert config.model_config["fcnet_hiddens"] == [32]
    assert config.model_config["fcnet_activation"] == "relu"


def test_off_policy_algorithm_on_the_same_environment(tiny: Tiny, tmp_path: Path) -> None:
    from ray.rllib.algorithms.dqn import DQNConfig

    ppo = tiny()
    config = (
        DQNConfig()
        .environment(ppo.env, env_config=ppo.env_config)
        .env_runners(num_envs_per_env_runner=4, gym_env_vectorize_mode="vector_entry_point", rollout_fragment_length=8)
        .training(
            train_batch_size_per_learner=16,
            num_steps_sampled_before_learning_starts=32,
            replay_buffer_config={"type": "PrioritizedEpisodeReplayBuffer", "capacity": 1000},
        )
        .reporting(min_sample_timesteps_per_iteration=64, min_time_s_per_iteration=0)
    )
    algorithm = config.build_algo()
    try:
        assert algorithm.train()["learners"]["default_policy"]["num_module_steps_trained"] > 0
        # Not greedy, it explores as it does at this point of its training.
        (played,) = evaluate_policy(algorithm, levels=1).levels
        assert played.success or played.length == 1_000
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
        player = RLlibPolicy.from_checkpoint(path, env=config.env, env_config=config.env_config)
        assert played_actions(player, steps=2).shape == (2, 3)
    finally:
        algorithm.stop()


def test_fresh_process(artifact: Artifact) -> None:
    code = (
        "from heist_encoders.rllib import ppo_config\n"
        f"config = ppo_config({str(artifact.path)!r}, num_envs=2).training(minibatch_size=64)\n"
        "import ray; assert not ray.is_initialized()\n"
        "print(config.build_algo().train()['num_env_steps_sampled_lifetime'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # A game that opens its next level plays no step meanwhile, so that one of the two may be ahead at the end.
    assert 256 <= float(done.stdout.split()[-1]) <= 257


def test_same_seed_same_training(tiny: Tiny) -> None:
    weights = []
    for _ in range(2):
        algorithm = tiny(seed=3).build_algo()
        try:
            algorithm.train()
            weights.append(algorithm.get_module().state_dict())
        finally:
            algorithm.stop()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"placement": "envs"}, UnknownNameError, "did you mean 'env'"),
        ({"mode": "memory"}, UnknownNameError, "expected placement = env, preprocessor, module, or distribution_mode"),
        ({"mode": "env", "placement": "env"}, ConfigError, "both are given"),
        ({"num_env": 2}, UnknownNameError, "unknown option 'num_env'; did you mean 'num_envs'"),
        ({"distribution_mode": "esy"}, UnknownNameError, "did you mean 'easy'"),
        ({"distribution_mode": "easy"}, ArtifactError, "trained on memory"),
        ({"actions": "move"}, UnknownNameError, "did you mean 'moves'"),
        ({"game": "hiest"}, UnknownNameError, "did you mean 'heist'"),
        ({"backend": "onnx"}, UnknownNameError, "unknown backend 'onnx'"),
        ({"precision": "half"}, UnknownNameError, "known: bfloat16, float32"),
        ({"num_levels": -1}, ConfigError, "num_levels"),
        ({"start_level": 1_500_000_000, "num_levels": 10}, ConfigError, "trains on evaluation levels"),
        ({"start_level": 1_700_000_000}, ConfigError, "trains on evaluation levels"),
        ({"num_levels": 1_500_000_001}, ConfigError, "trains on evaluation levels"),
        ({"num_envs": 5, "num_env_runners": 2}, ConfigError, "multiple"),
        ({"num_env_runners": -1}, ConfigError, "num_env_runners"),
        ({"fine_tune": 0.1}, ConfigError, "placement='module'"),
        ({"frame_stack": 0}, ConfigError, "frame_stack = 0"),
        ({"frame_stack": 2, "placement": "module"}, ConfigError, "not 'module'"),
        ({"encoder": "vae-alexa"}, UnknownNameError, "did you mean"),
    ],
)
def test_bad_options(
    tiny: Tiny, artifact: Artifact, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        ppo_config(**{"encoder": artifact, **options})
    assert "\n" not in str(caught.value)


def test_more_runners_than_cpus(tiny: Tiny) -> None:
    with pytest.raises(ResourceError, match="4 CPUs asked for") as caught:
        tiny(num_env_runners=4).build_algo()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("placement", ["env", "module"])
def test_a_config_knows_its_environment_in_a_fresh_process(tiny: Tiny, placement: str, tmp_path: Path) -> None:
    config = tiny(placement=placement)
    (tmp_path / "config").write_bytes(ray.cloudpickle.dumps(config))  # as a checkpoint of RLlib's holds it
    code = (
        "import sys, pickle\n"
        "from ray.tune.registry import ENV_CREATOR, _global_registry\n"
        "config = pickle.load(open(sys.argv[1], 'rb'))\n"
        "env = _global_registry.get(ENV_CREATOR, config.env)(config.env_config)\n"
        "print(config.env, env.observation_space.shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "config"], capture_output=True, text=True, timeout=200, check=False
    )
    shape = (32,) if placement == "env" else (64, 64, 3)
    assert done.stdout.splitlines()[-1:] == [f"{config.env} {shape}"], done.stderr[-2000:]
