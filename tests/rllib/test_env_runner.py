"""The array-based env runner gives what RLlib's own gives: episodes, metrics, state, the learner's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import tree
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.postprocessing.episodes import add_one_ts_to_episodes_and_truncate

from heist_encoders.rllib.env_runner import ArrayEnvRunner

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]
Tiny = Callable[..., Any]


class Counting(gym.vector.VectorEnv[Any, Any, Any]):
    """Games with episodes of 1, 2, ... 7 steps, which end in turns by termination and by truncation."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.single_action_space = gym.spaces.Discrete(4)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.played = np.arange(num_envs)
        self.fail_at: int | None = None
        self.calls = 0

    def _seen(self) -> tuple[Any, dict[str, Any]]:
        rows = np.stack([self.played % 5, self.step_in_episode, np.sin(self.played + self.last)], axis=1)
        even = self.played % 2 == 0
        return rows.astype(np.float32), {"level": self.played.copy(), "_level": even}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.step_in_episode = np.zeros(self.num_envs, dtype=np.int64)
        self.last = np.zeros(self.num_envs, dtype=np.int64)
        self.over = np.zeros(self.num_envs, dtype=np.bool_)
        return self._seen()

    def step(self, actions: Any) -> Any:
        self.calls += 1
        if self.calls == self.fail_at:
            raise RuntimeError("the game crashed")
        self.played = self.played + self.over
        self.step_in_episode = np.where(self.over, 0, self.step_in_episode + 1)
        self.last = np.where(self.over, 0, actions)
        rewards = np.where(self.over, 0.0, self.last + 0.5)
        ended = ~self.over & (self.step_in_episode > self.played % 7)
        self.over = ended
        rows, infos = self._seen()
        return rows, rewards, ended & (self.played % 3 > 0), ended & (self.played % 3 == 0), infos


def counting(config: Any) -> Any:
    return Counting(config["num_envs"])


def counting_config(*, lstm: bool = False, **runners: Any) -> Any:
    from ray import tune
    from ray.rllib.algorithms.ppo import PPOConfig

    tune.register_env("counting", counting)

    return (
        PPOConfig()
        .environment("counting")
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=5,
            gym_env_vectorize_mode="vector_entry_point",
            rollout_fragment_length=11,
            **runners,
        )
        .training(train_batch_size_per_learner=55, minibatch_size=55, num_epochs=1)
        .rl_module(model_config={"use_lstm": lstm, "max_seq_len": 4, "vf_share_layers": True, "fcnet_hiddens": [16]})
        .debugging(seed=0)
    )


def assert_same(one: SingleAgentEpisode, other: SingleAgentEpisode) -> None:
    """Field by field, dtype by dtype; what differs are ids and times."""
    assert (one.t, one.t_started, len(one)) == (other.t, other.t_started, len(other))
    assert (bool(one.is_terminated), bool(one.is_truncated)) == (bool(other.is_terminated), bool(other.is_truncated))
    assert one.observation_space == other.observation_space
    assert one.action_space == other.action_space
    assert list(one.extra_model_outputs) == list(other.extra_model_outputs)
    buffers = [(one.observations, other.observations), (one.actions, other.actions), (one.rewards, other.rewards)]
    buffers += [(one.extra_model_outputs[key], other.extra_model_outputs[key]) for key in one.extra_model_outputs]
    for left, right in buffers:
        assert (left.lookback, left.finalized) == (right.lookback, right.finalized)
        assert left.space == right.space
        tree.assert_same_structure(left.data, right.data)
        for mine, theirs in zip(tree.flatten(left.data), tree.flatten(right.data), strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
    assert one.infos.lookback == other.infos.lookback
    assert one.infos.data == other.infos.data


def play(cls: Any, config: Any, calls: list[dict[str, Any]], **kwargs: Any) -> tuple[list[Any], list[Any]]:
    """The episodes of each ``sample`` call, and the metrics after it."""
    runner = cls(config=config, worker_index=0, **kwargs)
    try:
        if cls is ArrayEnvRunner:
            assert runner.own_loop_reason is None
        episodes, metrics = [], []
        for call in calls:
            episodes.append(runner.sample(**call))
            metrics.append(runner.get_metrics())
        return episodes, metrics
    finally:
        runner.stop()


def compare(config: Any, calls: list[dict[str, Any]]) -> list[Any]:
    theirs, their_metrics = play(SingleAgentEnvRunner, config, calls)
    mine, my_metrics = play(ArrayEnvRunner, config, calls)
    names: dict[str, str] = {}
    for left, right in zip(mine, theirs, strict=True):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
            # Chunks of one episode have one id.
            assert names.setdefault(other.id_, one.id_) == one.id_
    assert len(set(names.values())) == len(names)
    for mine_now, theirs_now in zip(my_metrics, their_metrics, strict=True):
        assert_same_metrics(mine_now, theirs_now)
    return mine


def assert_same_metrics(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """All keys and all values that are no times; the timers of single connectors are RLlib's alone."""
    left, right = (
        {path: value for path, value in flat(metrics) if path[1:2] != ("timers",)} for metrics in (mine, theirs)
    )
    assert left.keys() == right.keys()
    for path, value in left.items():
        if path[-1] == "sample" or any(
            word in path[-1] for word in ("timer", "duration", "time_between", "throughput")
        ):
            continue
        np.testing.assert_allclose(value, right[path], rtol=1e-6, err_msg=str(path))


def flat(metrics: Any, path: tuple[str, ...] = ()) -> Any:
    for key, value in metrics.items():
        if isinstance(value, dict):
            yield from flat(value, (*path, key))
        else:
            yield (*path, key), np.asarray(value.peek() if hasattr(value, "peek") else value, dtype=np.float64)


@pytest.mark.parametrize("lstm", [False, True])
@pytest.mark.parametrize("explore", [False, True])
@pytest.mark.parametrize("lookback", [0, 1, 3])
def test_same_fragments(lstm: bool, explore: bool, lookback: int) -> None:
    config = counting_config(lstm=lstm, episode_lookback_horizon=lookback)
    # Fragments of one step, too: games are then cut right after an end, right after a reset and after one step.
    calls = [{"explore": explore}] * 3 + [{"explore": explore, "num_timesteps": 1}] * 9 + [{"explore": explore}]
    found = compare(config, calls)
    ends = {(bool(episode.is_terminated), bool(episode.is_truncated)) for episodes in found for episode in episodes}
    assert ends == {(False, False), (True, False), (False, True)}
    assert any(episode.t_started > 0 for episode in found[-1])


@pytest.mark.parametrize("lstm", [False, True])
def test_same_complete_episodes(lstm: bool) -> None:
    config = counting_config(lstm=lstm, batch_mode="complete_episodes")
    found = compare(config, [{}, {"num_episodes": 1}, {"num_episodes": 13}, {"num_timesteps": 9}, {}])
    assert [len(episodes) for episodes in found[:3]] == [5, 1, 13]
    assert all(episode.is_done and episode.t_started == 0 for episodes in found[:3] for episode in episodes)


def test_same_with_random_actions_and_resets_between() -> None:
    # RLlib itself fails where random actions go on with an episode of the module's, or the other way round.
    random = {"random_actions": True, "num_timesteps": 7, "force_reset": True}
    calls: list[dict[str, Any]] = [{}, random, {"force_reset": True, "num_timesteps": 6}, {}]

    def seeded(cls: Any) -> list[Any]:
        runner = cls(config=counting_config(), worker_index=0)
        try:
            runner.env.action_space.seed(0)
            return [runner.sample(**call) for call in calls]
        finally:
            runner.stop()

    for left, right in zip(seeded(ArrayEnvRunner), seeded(SingleAgentEnvRunner), strict=True):
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("lstm", [False, True])
def test_same_after_the_environment_failed(lstm: bool) -> None:
    config = counting_config(lstm=lstm).fault_tolerance(restart_failed_sub_environments=True)

    def crashing(cls: Any) -> list[Any]:
        runner = cls(config=config, worker_index=0)
        try:
            first = runner.sample()
            env = runner.env.unwrapped
            env.fail_at = env.calls + 6
            return [first, runner.sample(), runner.sample()]
        finally:
            runner.stop()

    for left, right in zip(crashing(ArrayEnvRunner), crashing(SingleAgentEnvRunner), strict=True):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("lstm", [False, True])
def test_same_on_heist(tiny: Tiny, lstm: bool) -> None:
    config = tiny(lstm=lstm, distribution_mode="memory", num_levels=3)
    compare(config, [{}, {"num_timesteps": 2_200}, {"explore": False}])


@pytest.mark.parametrize("lstm", [False, True])
def test_learners_get_the_same(lstm: bool) -> None:
    """What PPO's learner connectors make of the episodes: advantages, value targets, states, masks."""
    config = counting_config(lstm=lstm)
    calls = [{}] * 3
    batches = []
    for cls in (ArrayEnvRunner, SingleAgentEnvRunner):
        episodes, _ = play(cls, config, calls)
        algorithm = config.copy(copy_frozen=False).build_algo()
        try:
            learner = algorithm.learner_group._learner
            torch.manual_seed(0)
            for value in learner.module["default_policy"].parameters():
                torch.nn.init.normal_(value, std=0.1)
            batch = learner._learner_connector(
                rl_module=learner.module, batch={}, episodes=episodes[-1], shared_data={}, metrics=learner.metrics
            )
            batches.append(batch["default_policy"])
        finally:
            algorithm.stop()
    mine, theirs = batches
    assert {"advantages", "value_targets", "action_logp", "loss_mask"} <= set(mine) == set(theirs)
    assert ("state_in" in mine) is lstm
    for left, right in zip(tree.flatten(mine), tree.flatten(theirs), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_metrics_do_not_grow_with_what_a_learner_appends() -> None:
    """A learner in the same process makes chunks a step longer; episodes that end later are not counted so."""

    def lengths(learn: bool) -> list[float]:
        runner = ArrayEnvRunner(config=counting_config(), worker_index=0)
        try:
            found = []
            for _ in range(4):
                episodes = runner.sample()
                found.append(float(runner.get_metrics()["episode_len_mean"].peek()))
                if learn:
                    add_one_ts_to_episodes_and_truncate(episodes)
            return found
        finally:
            runner.stop()

    assert lengths(learn=True) == lengths(learn=False)


def test_state_and_weights_as_rllib(tiny: Tiny) -> None:
    """A state goes from one runner class to the other; only newer weights are taken."""
    config = tiny()
    mine, theirs = (cls(config=config, worker_index=0) for cls in (ArrayEnvRunner, SingleAgentEnvRunner))
    try:
        theirs.sample()
        state = theirs.get_state()
        assert state.keys() == mine.get_state().keys()
        name, value = next(iter(state["rl_module"].items()))

        def sent(seq_no: int, factor: float) -> Any:
            return {**state, "weights_seq_no": seq_no, "rl_module": {**state["rl_module"], name: value * factor}}

        for seq_no, factor, expected in ((5, 2.0, 2.0), (4, 3.0, 2.0), (6, 4.0, 4.0)):
            mine.set_state(sent(seq_no, factor))
            np.testing.assert_array_equal(mine.module.state_dict()[name], value * expected)
        (episode, *_) = mine.sample()
        assert set(episode.get_extra_model_outputs("weights_seq_no")) == {6}
        assert mine.get_metrics()["weights_seq_no"].peek() == 6
    finally:
        mine.stop()
        theirs.stop()


class Watching(RLlibCallback):
    steps = 0

    def on_episode_step(self, **kwargs: Any) -> None:
        Watching.steps += 1


class Collecting(RLlibCallback):
    episodes = 0

    def on_sample_end(self, *, samples: Any, **kwargs: Any) -> None:
        Collecting.episodes += len(samples)


def same_step(env: Any = None, spaces: Any = None, device: Any = None) -> Any:
    return MeanStdFilter()


def test_falls_back_to_rllibs_loop(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def ended(*, episode: Any, **kwargs: Any) -> None:
        calls.append(episode)

    for config, words in (
        (counting_config().callbacks(Watching), "on_episode_step"),
        (counting_config().callbacks([Collecting, Watching]), "on_episode_step"),
        (counting_config().callbacks(on_episode_end=ended), "on_episode_end"),
        (counting_config(env_to_module_connector=same_step), "MeanStdFilter"),
        (counting_config(episodes_to_numpy=False), "episodes_to_numpy"),
    ):
        caplog.clear()
        theirs, _ = play(SingleAgentEnvRunner, config, [{}])
        runner = ArrayEnvRunner(config=config, worker_index=0)
        try:
            assert words in (runner.own_loop_reason or "")
            mine = [runner.sample(), runner.sample()][:1]
        finally:
            runner.stop()
        assert sum(words in record.getMessage() for record in caplog.records) == 1
        if config.episodes_to_numpy:
            for one, other in zip(mine[0], theirs[0], strict=True):
                assert_same(one, other)
    assert Watching.steps > 0
    assert calls


def test_other_callbacks_are_called() -> None:
    config = counting_config().callbacks(Collecting)
    Collecting.episodes = 0
    episodes, _ = play(ArrayEnvRunner, config, [{}, {}])
    assert Collecting.episodes == sum(map(len, episodes)) > 0


def test_ppo_config_uses_it(tiny: Tiny) -> None:
    assert tiny().env_runner_cls is ArrayEnvRunner
    assert tiny(array_env_runner=False).env_runner_cls is None
    assert tiny(placement="preprocessor").env_runner_cls is None
    algorithm = tiny(num_env_runners=1, lstm=True).build_algo()
    try:
        reasons = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: runner.own_loop_reason, local_env_runner=False
        )
        assert reasons == [None]
        result = algorithm.train()["env_runners"]
        assert result["num_env_steps_sampled"] == 64
        assert result["num_env_steps_sampled_lifetime"] == 64
    finally:
        algorithm.stop()
