"""PPO trains from drawn starts; whatever evaluates a policy plays whole episodes from true starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.rllib.connectors.env_to_module import EnvToModulePipeline

from heist_encoders.envs.starts import StartOptions
from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.rllib import evaluate_policy
from heist_encoders.rllib.curriculum import KeepCurriculum

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
STARTS = {"start_share": 1.0, "start_distribution": "curriculum", "curriculum_window": 4, "time_limit": 7}
Tiny = Callable[..., Any]


def test_trains_from_drawn_starts(tiny: Tiny) -> None:
    algorithm = tiny(**STARTS).build_algo()
    try:
        for _ in range(3):
            figures = algorithm.train()["env_runners"]
        assert 1 <= figures["episode_len_mean"] <= 7
        env = algorithm.env_runner.env.unwrapped
        assert figures["curriculum_bound"] == env.curriculum["bound"]
        assert all("start" in episode.infos[0] for episode in _episodes(algorithm))
    finally:
        algorithm.stop()


def _episodes(algorithm: Any) -> list[Any]:
    """Some that begin and end within one call."""
    return list(algorithm.env_runner.sample(num_episodes=6, random_actions=False))


def test_truncated_episodes_are_no_terminated_ones(tiny: Tiny) -> None:
    algorithm = tiny(time_limit=5).build_algo()
    try:
        episodes = _episodes(algorithm)
        assert [(episode.is_truncated, episode.is_terminated, len(episode)) for episode in episodes] == [
            (True, False, 5)
        ] * len(episodes)
    finally:
        algorithm.stop()


def test_checkpoints_keep_the_curriculum(tiny: Tiny, tmp_path: Path) -> None:
    algorithm = tiny(**STARTS).build_algo()
    state = {"bound": 10, "previous_bound": 8, "results": [True, False]}
    try:
        algorithm.env_runner.env.unwrapped.curriculum = state
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    restored = type(algorithm).from_checkpoint(path)
    try:
        assert restored.env_runner.env.unwrapped.curriculum == state
    finally:
        restored.stop()


def test_checkpoints_keep_the_curriculum_of_remote_env_runners(tiny: Tiny, tmp_path: Path) -> None:
    algorithm = tiny(**STARTS, num_env_runners=1).build_algo()

    def lead(runner: Any) -> None:
        runner.env.unwrapped.curriculum = {"bound": 20, "previous_bound": 10, "results": [False]}

    try:
        algorithm.env_runner_group.foreach_env_runner(lead, local_env_runner=False)
        algorithm.train()
        path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        algorithm.stop()
    (keep,) = EnvToModulePipeline.from_checkpoint(Path(path) / "env_runner" / "env_to_module_connector")[KeepCurriculum]
    assert keep.get_state()["curriculum"]["bound"] >= 20


def test_a_merge_does_not_forget_the_episodes_being_played() -> None:
    """Setting a curriculum does: only where it comes farther, or knows no result yet, is it set."""

    class Env:
        curriculum: dict[str, Any]
        set = 0

        def __setattr__(self, name: str, value: Any) -> None:
            Env.set += 1
            object.__setattr__(self, name, value)

        @property
        def unwrapped(self) -> Any:
            return self

    env = Env()
    env.curriculum = {"bound": 8, "previous_bound": 4, "results": [True]}
    keep = KeepCurriculum()
    keep.watch(env)
    keep.set_state({"curriculum": {"bound": 8, "previous_bound": 4, "results": [False, False]}})
    assert (Env.set, env.curriculum["results"]) == (1, [True])
    keep.set_state({"curriculum": {"bound": 10, "previous_bound": 8, "results": []}})
    assert env.curriculum["bound"] == 10
    states = [{"curriculum": {"bound": bound, "previous_bound": 1, "results": []}} for bound in (12, 11)]
    assert keep.merge_states([*states, {}])["curriculum"]["bound"] == 12


def test_evaluation_is_from_true_starts(tiny: Tiny) -> None:
    """Levels take the oracle more steps than the training limit; RLlib's own evaluation has no limit either."""
    options = {"distribution_mode": "easy"}
    plain = evaluate_policy("oracle", levels=6, env_config=options)
    assert evaluate_policy("oracle", levels=6, env_config={**options, **STARTS}).levels == plain.levels
    assert plain.mean_length > 7
    config = tiny(**STARTS)
    config.evaluation(evaluation_num_env_runners=0, evaluation_interval=1)
    evaluating = config.get_evaluation_config_object()
    assert evaluating.env_config["start_share"] == 0.0
    assert evaluating.env_config["time_limit"] is None
    assert config.env_config["start_share"] == 1.0
    algorithm = config.build_algo()
    try:
        env = algorithm.eval_env_runner.env.unwrapped
        assert env.options.starts.start_share == 0
        assert env.curriculum is None
        played = evaluate_policy(algorithm, levels=4, greedy=True)
        assert all(level.success or level.length == 1_000 for level in played.levels)
    finally:
        algorithm.stop()


def test_bad_starts(tiny: Tiny) -> None:
    with pytest.raises(HeistEncodersError, match="did you mean 'start_share'"):
        tiny(start_shar=1.0)
    with pytest.raises(ConfigError, match="time_limit = 1001: heist has a limit of 1000 itself"):
        tiny(time_limit=1_001)
    with pytest.raises(ConfigError, match="start_share with game = 'maze'"):
        tiny(game="maze", start_share=1.0)


def test_options_at_their_defaults_leave_a_run_as_it_was(tiny: Tiny) -> None:
    """Else runs from before there were start states could not be resumed."""
    assert not set(StartOptions.model_fields) & set(tiny(start_share=0.0, time_limit=None).env_config)
    config = tiny(**STARTS)
    assert {name: config.env_config[name] for name in STARTS} == STARTS
    assert tiny().evaluation_config is None
