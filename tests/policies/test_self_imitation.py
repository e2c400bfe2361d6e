"""Learning by reward alone from one's own successes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from heist_encoders.errors import ConfigError
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.heads import HeadConfig
from heist_encoders.policies.planner import PlannerConfig
from heist_encoders.policies.self_imitation import SelfImitation, last_exits, round_shares, self_imitate
from heist_encoders.tasks.heist.solver import Oracle
from heist_encoders.zoo.artifact import Artifact

SMALL = HeadConfig(kind="planner", planner=PlannerConfig(channels=8, iterations=4))


def pictures(places: list[int], turned: list[int] | None = None) -> NDArray[np.uint8]:
    """Frames with a block of 5 x 5 pixels at a place (8 pixels apart), one of its pixels showing how it has turned."""
    frames = np.zeros((len(places), 64, 64, 3), np.uint8)
    for row, place in enumerate(places):
        frames[row, 20:25, 8 * place : 8 * place + 5] = 200
        frames[row, 22, 8 * place + (turned[row] if turned else 2)] = 90
    return frames


def test_a_frame_is_labelled_with_the_way_its_place_was_left_for_good() -> None:
    """0 1 2 1 3: place 1 was left for 2 at first, and for 3 at last."""
    rows, actions = last_exits(pictures([0, 1, 2, 1, 3]), np.array([10, 11, 12, 13, 14]), 9)
    assert rows.tolist() == [0, 1, 2, 4]
    assert actions.tolist() == [10, 13, 12, 14]


def test_who_has_turned_is_in_the_same_place() -> None:
    frames = pictures([0, 1, 2, 1, 3], turned=[0, 1, 2, 3, 4])
    rows, actions = last_exits(frames, np.arange(5), 9)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert actions.tolist() == [0, 3, 2, 3, 4]
    assert last_exits(frames, np.arange(5), 1)[1].tolist() == [0, 1, 2, 3, 4]  # unless places are single pixels


def test_a_place_where_something_else_changed_is_another() -> None:
    frames = pictures([0, 1, 2, 1, 3])
    frames[:3, 50:54, 30:34] = 255  # a key
    frames[3:, 2:6, 60:63] = 255  # which hangs on the ring now
    assert last_exits(frames, np.arange(5), 9)[1].tolist() == [0, 1, 2, 3, 4]


def test_labels_agree_with_shortest_paths(grid_easy: Artifact) -> None:
    """Of random play: the last exit of a place is mostly a move of the oracle's, what was done there mostly is not."""
    from heist_encoders.envs import make_vector_env

    oracle = Oracle()
    envs = make_vector_env(None, num_envs=48, distribution_mode="easy", actions="moves", action_repeat=4)
    random = np.random.default_rng(0)
    frames, _ = envs.reset(seed=3)
    seen: list[list[NDArray[np.uint8]]] = [[] for _ in range(48)]
    made: list[list[int]] = [[] for _ in range(48)]
    right: list[list[int]] = [[] for _ in range(48)]
    over, labelled, taken = np.zeros(48, np.bool_), [], []
    for _ in range(120):
        actions = random.integers(0, 9, 48)
        for game in np.flatnonzero(~over).tolist():
            seen[game].append(frames[game])
            made[game].append(int(actions[game]))
            right[game].append(oracle.action(envs.engine.get_state(game)))
        frames, _, terminated, _, _ = envs.step(actions)
        for game in np.flatnonzero(terminated & ~over).tolist():
            rows, exits = last_exits(np.stack(seen[game]), np.array(made[game]), 13)
            moves = np.array(right[game])[rows]
            labelled += _towards(exits, moves)
            taken += _towards(np.array(made[game])[rows], moves)
        over |= terminated
    assert len(labelled) > 200
    assert np.mean(labelled) > 0.7
    assert np.mean(taken) < 0.45


def _towards(actions: NDArray[np.int64], moves: NDArray[np.int64]) -> list[bool]:
    """Whether actions point to the same side as the moves, at most 45 degrees off."""
    at, to = ((np.stack([values // 3, values % 3], axis=1) - 1) for values in (actions, moves))
    return [bool(value > 0) for value in (at * to).sum(axis=1)]


def test_rounds_double() -> None:
    assert round_shares(4) == [0.125, 0.125, 0.25, 0.5]
    assert round_shares(1) == [1.0]


def test_it_learns_by_reward_alone(grid_easy: Artifact) -> None:
    rounds: list[float] = []
    policy = self_imitate(
        grid_easy, mode="easy", frames=40_000, rounds=2, head=SMALL, games=32, seed=1,
        after_round=lambda policy: rounds.append(policy.training["frames_played"]),
    )  # fmt: skip
    assert rounds == [19_968, 39_936]
    assert policy.training["class"] == "A"
    assert 0 < policy.training["solved"] <= policy.training["episodes"]
    assert policy.action_repeat == 4
    assert play_levels(policy, "easy", range(8)).length_mean > 0
    again = self_imitate(grid_easy, mode="easy", frames=40_000, rounds=2, head=SMALL, games=32, seed=1)
    assert again.training["own_frames"] == policy.training["own_frames"]
    for one, other in zip(policy.head.parameters(), again.head.parameters(), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rounds": 0}, "rounds = 0"),
        ({"frames": 1, "rounds": 2}, "frames = 1"),
        ({"action_repeat": 0}, "action_repeat = 0"),
        ({"passes": 0.0}, "passes = 0"),
        ({"head": HeadConfig(kind="mlp", lstm=8)}, "lstm"),
        ({"frames": 64, "rounds": 1, "games": 8}, "solved no level"),
    ],
)
def test_mistakes_are_one_line(grid_easy: Artifact, options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        self_imitate(grid_easy, mode="easy", **{"frames": 1_000, **options})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_more_frames_are_learned_from_in_each_round(grid_easy: Artifact) -> None:
    learner = SelfImitation(grid_easy, mode="easy", head=SMALL, games=32)
    first = learner.play(20_000)
    assert first.encodings.shape[1:] == grid_easy.encoding_shape
    assert len(first.encodings) == len(first.actions) > 0
    learner.learn()
    second = learner.play(8_000)
    assert learner.learn().training["own_frames"] == len(first.actions) + len(second.actions)
