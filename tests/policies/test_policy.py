from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.errors import ConfigError, UnknownNameError
from heist_encoders.policies import sharpen
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.heads import HeadConfig, HeadPolicy, head_kind
from heist_encoders.policies.planner import PlannerConfig, PlannerPolicy
from heist_encoders.policies.play import ActionRepeat, StepInput, play_episodes
from heist_encoders.policies.policy import Policy, PolicyRunner, Recorder, choose
from heist_encoders.policies.sharpen import best_temperature, sharpened
from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import played_frames

SMALL = PlannerConfig(channels=8, iterations=4, hidden=16, grid=5)


def make_policy(artifact: Artifact, lstm: int = 0, kind: str = "planner", **options: object) -> Policy:
    torch.manual_seed(0)
    config = HeadConfig.from_dict({"kind": kind, "planner": SMALL.to_dict(), "hiddens": [16], "lstm": lstm})
    return Policy(HeadPolicy(artifact.encoding_shape, config), artifact, backend="torch", **options)


def test_acts_on_what_its_head_says(artifact: Artifact) -> None:
    policy = make_policy(artifact)
    frames = played_frames(20)
    encodings = policy.encoder.normalize(policy.encoder.encode(frames))
    with torch.no_grad():
        expected = policy.head(torch.tensor(encodings))[0].numpy()
    np.testing.assert_allclose(policy.logits(frames), expected, rtol=1e-5)
    np.testing.assert_array_equal(policy.act(frames, greedy=True), expected.argmax(axis=1))
    actions = policy.act(frames, rng=np.random.default_rng(0))
    assert actions.dtype == np.int64
    assert len(np.unique(actions)) > 1
    np.testing.assert_array_equal(actions, policy.act(frames, rng=np.random.default_rng(0)))


def test_draws_follow_the_distribution() -> None:
    probabilities = np.array([0.7, 0.2, 0.1])
    logits = np.tile(np.log(probabilities), (20_000, 1)).astype(np.float32)
    drawn = np.bincount(choose(logits, np.random.default_rng(0)), minlength=3) / 20_000
    np.testing.assert_allclose(drawn, probabilities, atol=0.015)


@pytest.mark.parametrize("lstm", [0, 8])
def test_sharpened(artifact: Artifact, lstm: int) -> None:
    policy = make_policy(artifact, lstm=lstm, training={"class": "D"})
    frames = played_frames(6)
    sharp = sharpened(policy, 0.5)
    np.testing.assert_allclose(sharp.logits(frames), 2 * policy.logits(frames), rtol=1e-4, atol=1e-5)
    assert sharpened(sharp, 0.5).training == {"class": "D", "temperature": 0.25}
    assert policy.training == {"class": "D"}
    with pytest.raises(ConfigError, match="temperature = 0: expected a number above 0"):
        sharpened(policy, 0)


def test_the_best_temperature_is_that_of_most_solved_levels(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {1.0: 0.25, 0.5: 0.75, 0.1: 0.5}
    monkeypatch.setattr(
        sharpen, "play_levels", lambda policy, *_: SimpleNamespace(success_rate=rates[policy.training["temperature"]])
    )
    assert best_temperature(make_policy(artifact), "memory", [1, 2], list(rates)) == (0.5, rates)


def test_without_normalisation_the_head_sees_raw_encodings(artifact: Artifact) -> None:
    frames = played_frames(4)
    policy = make_policy(artifact, normalize=False)
    np.testing.assert_array_equal(policy.encode(frames), policy.encoder.encode(frames))


def test_memory_is_kept_by_game_and_forgotten_at_a_start(artifact: Artifact) -> None:
    policy = make_policy(artifact, lstm=8)
    frames = played_frames(3)
    with pytest.raises(ConfigError, match="is recurrent"):
        policy.act(frames)

    def seen(player: PolicyRunner, games: list[int]) -> None:
        player.act(StepInput(np.array(games), frames[games], np.zeros(len(games), np.float32), None))  # type: ignore[arg-type]

    together, apart = PolicyRunner(policy, greedy=True), PolicyRunner(policy, greedy=True)
    for _ in range(3):
        seen(together, [0, 1, 2])
        for game in (2, 0, 1):
            seen(apart, [game])
    for game in range(3):
        torch.testing.assert_close(together._decisions._states[game], apart._decisions._states[game])
    once = PolicyRunner(policy, greedy=True)
    seen(once, [1])
    assert not torch.allclose(once._decisions._states[1][0], together._decisions._states[1][0])
    together.start([1])
    seen(together, [1])
    torch.testing.assert_close(once._decisions._states[1], together._decisions._states[1])


class Counting:
    """Says how often it was asked in a game."""

    name = "counting"

    def __init__(self) -> None:
        self.asked: dict[int, int] = {}

    def start(self, games: Sequence[int]) -> None:
        self.asked.update(dict.fromkeys(map(int, games), 0))

    def act(self, seen: StepInput) -> NDArray[np.int64]:
        assert len(seen.frames) == len(seen.rewards) == len(seen.games)
        self.asked.update({game: self.asked[game] + 1 for game in seen.games.tolist()})
        return np.array([self.asked[game] for game in seen.games.tolist()], np.int64)


def test_actions_are_held_in_each_game_for_itself() -> None:
    player = ActionRepeat(Counting(), 3)

    def act(*games: int) -> list[int]:
        frames = np.zeros((len(games), 64, 64, 3), np.uint8)
        return player.act(StepInput(np.array(games), frames, np.zeros(len(games), np.float32), None)).tolist()  # type: ignore[arg-type]

    player.start([0, 1])
    assert [act(0, 1), act(0), act(0, 1), act(0, 1)] == [[1, 1], [1], [1, 1], [2, 1]]
    player.start([0])  # a new episode waits for nothing
    assert [act(0, 1), act(0), act(0), act(0)] == [[1, 2], [1], [1], [2]]
    assert player.name == "counting"


def test_a_policy_holds_its_actions_wherever_it_plays(artifact: Artifact) -> None:
    """It plays as in an environment that repeats actions."""
    from heist_encoders.envs import make_vector_env

    policy, levels = make_policy(artifact, action_repeat=5), [3, 9]
    recorder = Recorder(PolicyRunner(policy, seed=4))
    play_episodes(recorder, levels, {"distribution_mode": "memory"}, num_games=2)
    envs = make_vector_env(None, num_envs=2, distribution_mode="memory", action_repeat=5)
    frames, _ = envs.reset(options={"level_seed": levels})
    rng = np.random.default_rng(4)
    shortest = min(len(recorder.frames[game]) for game in range(2))
    assert shortest > 20
    for step in range(min(20, shortest // 5)):
        np.testing.assert_array_equal(frames, [recorder.frames[game][5 * step] for game in range(2)])
        frames, *_ = envs.step(policy.act(frames, rng=rng))


@pytest.mark.parametrize("repeat", [0, 101])
def test_an_action_is_held_for_1_to_100_steps(artifact: Artifact, repeat: int) -> None:
    with pytest.raises(ConfigError, match=f"action_repeat = {repeat}: expected 1 to 100"):
        make_policy(artifact, action_repeat=repeat)


def test_another_encoder_is_refused(artifact: Artifact) -> None:
    with pytest.raises(ConfigError, match="encodings of shape"):
        Policy(HeadPolicy((3, 4, 4), HeadConfig(planner=SMALL)), artifact)


def test_planner_policy_has_the_weights_of_a_head() -> None:
    plain, head = PlannerPolicy((3, 5, 5), SMALL), HeadPolicy((3, 5, 5), HeadConfig(planner=SMALL))
    head.load_state_dict(plain.state_dict())
    encodings = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(head(encodings)[0], plain(encodings)[0])


def test_kinds() -> None:
    assert [head_kind("auto", shape) for shape in [(4, 9, 9), (64,), (4, 1, 1)]] == ["planner", "mlp", "mlp"]
    assert head_kind("planner", (64,)) == "planner"
    with pytest.raises(UnknownNameError, match="did you mean 'planner'"):
        head_kind("plan", (64,))


def test_evaluation_plays_each_level_once(artifact: Artifact) -> None:
    policy = make_policy(artifact, lstm=8)
    levels = EVALUATION_LEVELS[:5]
    found = play_levels(policy, "memory", levels, envs=3, seed=1)
    assert [level.level_seed for level in found.levels] == list(levels)
    again = play_levels(policy, "memory", levels, envs=3, seed=1)
    assert found.levels == again.levels
    figures = found.to_dict()
    assert figures["num_levels"] == 5
    assert sum(part["num_levels"] for part in figures["by_num_keys"].values()) == 5
    low, high = figures["return_interval"]
    assert low <= figures["return_mean"] <= high


def test_oracle_solves_and_random_does_not() -> None:
    levels = EVALUATION_LEVELS[:24]
    oracle = play_levels("oracle", "easy", levels).to_dict()
    assert oracle["success_rate"] == 1
    assert oracle["return_interval"] == [10, 10]
    random = play_levels("random", "easy", levels).to_dict()
    assert random["return_mean"] < 8
    returns = [level.episode_return for level in play_levels("random", "easy", levels).levels]
    half = 1.96 * np.std(returns, ddof=1) / np.sqrt(24)
    assert random["return_interval"] == pytest.approx([np.mean(returns) - half, np.mean(returns) + half], abs=1e-3)


def test_evaluation_errors(artifact: Artifact) -> None:
    policy = make_policy(artifact)
    with pytest.raises(ConfigError, match="plays memory mode, asked for easy"):
        play_levels(policy, "easy", [1])
    with pytest.raises(ConfigError, match="at least one"):
        play_levels(policy, "memory", [])
    with pytest.raises(UnknownNameError, match="did you mean 'easy'"):
        play_levels(policy, "eesy", [1])
    with pytest.raises(UnknownNameError, match="did you mean 'oracle'"):
        play_levels("oracel", "easy", [1])
