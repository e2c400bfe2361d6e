"""Policies are evaluated in the environment that they were trained in, and the training does not notice."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray
from ray import tune
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import MeanStdFilter

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.envs import make_env, make_vector_env
from heist_encoders.errors import ConfigError
from heist_encoders.rllib import RLlibPolicy, evaluate_policy, ppo_config, train_ppo
from heist_encoders.rllib.playing import make_environments, play_environments
from heist_encoders.rllib.training import checkpoint_of
from heist_encoders.tasks.registry import task_of

EASY = {"distribution_mode": "easy", "actions": "moves"}


class Colour(gym.ObservationWrapper[Any, Any, Any]):
    """The mean colour of the newest frames: nothing that could be guessed from a name."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, 1, (3,), np.float32)

    def observation(self, observation: Any) -> Any:
        return observation.mean(axis=(0, 1), dtype=np.float32) / 255


def coloured(config: Any) -> Any:
    return gym.wrappers.FlattenObservation(gym.wrappers.FrameStackObservation(Colour(make_env(**config)), 2))


class OracleByObservation:
    """Reads the games of the environments that it plays."""

    def __init__(self, envs: Any) -> None:
        base = envs.unwrapped
        if hasattr(base, "envs"):
            self.engines = [(env.unwrapped.engine, 0) for env in base.envs]
        else:
            self.engines = [(base.engine, game) for game in range(base.num_envs)]
        self.oracle: Any = task_of("heist").oracle()

    def start(self, games: Iterable[int]) -> None:
        """Nothing to forget."""

    def decide(self, games: Any, observations: Any, rewards: Any) -> NDArray[np.int64]:
        return np.array([self.oracle.action(self.engines[game][0].get_state(self.engines[game][1])) for game in games])


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_environments_are_played_as_the_games_are(mode: str) -> None:
    seeds = EVALUATION_LEVELS[:5]
    expected = evaluate_policy("oracle", levels=seeds, env_config=EASY)
    envs = make_environments("heist_encoders:heist-pixels-v0", {**EASY, "time_limit": 3}, 2, mode)
    try:
        found = play_environments(OracleByObservation(envs), envs, seeds)  # type: ignore[arg-type]
    finally:
        envs.close()
    assert tuple(found) == expected.levels


@pytest.mark.usefixtures("ray_local")
def test_a_creator_of_ones_own_with_wrappers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tune.register_env("coloured", coloured)
    config = (
        PPOConfig()
        .environment("coloured", env_config=EASY)
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=2,
            env_to_module_connector=lambda env, spaces, device: MeanStdFilter(),
        )
        .training(train_batch_size_per_learner=16, minibatch_size=16, num_epochs=1)
    )
    result: list[Any] = []

    def evaluate(line: Any) -> None:
        algorithm = algorithms[0]
        before = pickle.dumps(algorithm.env_runner.get_state())
        result.append(evaluate_policy(algorithm, levels=3, num_games=2))
        # Filters of connectors go on learning in a copy.
        assert pickle.dumps(algorithm.env_runner.get_state()) == before

    algorithms: list[Any] = []
    build = PPOConfig.build_algo

    def keep(self: PPOConfig, *args: Any, **kwargs: Any) -> Any:
        algorithms.append(build(self, *args, **kwargs))
        return algorithms[-1]

    monkeypatch.setattr(PPOConfig, "build_algo", keep)  # of the class: checkpoints hold what a configuration has
    out = train_ppo(config, steps=16, out=tmp_path / "run", callback=evaluate).out
    assert [level.level_seed for level in result[0].levels] == list(EVALUATION_LEVELS[:3])
    assert result[0].distribution_mode == "easy"
    assert len(evaluate_policy(out, levels=1).levels) == 1
    with pytest.raises(ConfigError, match="'coloured', expected one of this package's"):
        RLlibPolicy.from_checkpoint(checkpoint_of(out), env="coloured", env_config=EASY)


@pytest.mark.usefixtures("ray_local")
def test_a_gymnasium_id() -> None:
    config = ppo_config("vae-alex", num_envs=2)
    config.environment("heist_encoders:vae-alex-v0", env_config={"actions": "moves"})
    algorithm = config.build_algo()
    try:
        (played,) = evaluate_policy(algorithm, levels=1).levels
    finally:
        algorithm.stop()
    assert played.success or played.length == 1_000


class Deaf(gym.Wrapper[Any, Any, Any, Any]):
    """Does not pass on what a reset is asked for."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self.env.reset(seed=seed)


def test_environments_that_cannot_be_evaluated() -> None:
    with pytest.raises(ConfigError, match="'nowhere-v0' is not known here") as caught:
        make_environments("nowhere-v0", {}, 1)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="shows no game of this package"):
        make_environments("CartPole-v1", {}, 1)
    tune.register_env("deaf", lambda config: Deaf(make_env(**config)))
    envs = make_environments("deaf", EASY, 1)
    try:
        with pytest.raises(ConfigError, match="a wrapper must pass reset's options"):
            play_environments(OracleByObservation(envs), envs, [EVALUATION_LEVELS[0]])  # type: ignore[arg-type]
    finally:
        envs.close()


def test_what_an_encoder_says_is_not_guessed() -> None:
    """An environment without a mode plays that of its encoder; so does the evaluation."""
    from heist_encoders.rllib.evaluation import _resolved

    env = make_vector_env("vae-alex", num_envs=1, distribution_mode="easy")
    reference = env.encoder.artifact.reference
    env.close()
    options = _resolved("heist-vae-alex", {"encoder": reference, "use_backgrounds": None})
    assert (options["distribution_mode"], options["use_backgrounds"]) == ("easy", False)
