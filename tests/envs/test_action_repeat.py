"""An action that is held for several steps of the game."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heist_encoders.envs import make_env, make_vector_env
from heist_encoders.errors import ConfigError
from tests.envs.test_equal import both, compare, oracle_policy, random_policy


def test_a_step_is_as_many_steps_of_the_game() -> None:
    plain, held = make_env(None, distribution_mode="easy"), make_env(None, distribution_mode="easy", action_repeat=3)
    np.testing.assert_array_equal(plain.reset(seed=2)[0], held.reset(seed=2)[0])
    random = np.random.default_rng(0)
    for _ in range(60):
        action = int(random.integers(9))
        for _ in range(3):
            frame, *_ = plain.step(action)
        again, reward, *_ = held.step(action)
        np.testing.assert_array_equal(frame, again)
        assert reward == 0


@pytest.mark.parametrize("repeat", [2, 3, 7])
def test_an_episode_ends_within_a_step(repeat: int) -> None:
    """The reward, the end and the last frame are those of the same moves one by one."""
    plain = make_vector_env(None, num_envs=32, distribution_mode="easy", actions="moves", frames_in_info=True)
    held = make_vector_env(
        None, num_envs=32, distribution_mode="easy", actions="moves", frames_in_info=True, action_repeat=repeat
    )
    levels = list(range(32))
    plain.reset(seed=1, options={"level_seed": levels})
    held.reset(seed=1, options={"level_seed": levels})
    random = np.random.default_rng(3)
    over = np.zeros(32, np.bool_)
    for _ in range(450 // repeat):
        actions = random.integers(0, 9, 32)
        frames, rewards, ended = np.zeros((32, 64, 64, 3), np.uint8), np.zeros(32), np.zeros(32, np.bool_)
        for _ in range(repeat):
            seen, its, terminated, _, _ = plain.step(actions)
            frames[~ended & ~over] = seen[~ended & ~over]
            rewards[~ended & ~over] += its[~ended & ~over]
            ended |= terminated & ~over
        seen, its, terminated, truncated, infos = held.step(actions)
        np.testing.assert_array_equal(seen[~over], frames[~over])
        np.testing.assert_array_equal(its[~over], rewards[~over])
        np.testing.assert_array_equal(terminated[~over], ended[~over])
        np.testing.assert_array_equal(infos["level_complete"][~over], ended[~over])
        assert not truncated.any()
        over |= ended
    assert over.sum() > 5


@pytest.mark.parametrize(
    "options",
    [
        {"action_repeat": 3, "actions": "moves"},
        {"action_repeat": 4, "actions": "moves", "time_limit": 20, "shaping": 1.0},
    ],
)
def test_a_vector_is_as_many_single_ones(options: dict[str, Any]) -> None:
    vector, sync = both(6, None, distribution_mode="easy", **options)
    terminations, truncations = compare(vector, sync, 200, oracle_policy(1))
    assert terminations > 5
    assert truncations > 0 or "time_limit" not in options


def test_other_games_die_within_a_step() -> None:
    vector, sync = both(4, None, game="starpilot", distribution_mode="easy", action_repeat=4)
    terminations, _ = compare(vector, sync, 200, random_policy(4, 15))
    assert terminations > 0


def test_a_level_that_is_opened_stands_as_it_was_opened() -> None:
    """Nothing moves in it, and none of the game's 1,000 steps is lost, within the step that opens it."""
    envs = make_vector_env(None, num_envs=2, distribution_mode="memory", action_repeat=8)
    envs.reset(seed=4)
    for number in range(1, 127):
        frames, _, _, truncated, _ = envs.step([4, 4])
        assert truncated.all() == (number == 125)  # 125 * 8 = 1,000
    levels = envs.step([4, 4])[4]["level_seed"]
    fresh = make_vector_env(None, num_envs=2, distribution_mode="memory")
    wanted, _ = fresh.reset(options={"level_seed": levels})
    np.testing.assert_array_equal(frames, wanted)


def test_the_time_limit_of_the_options_counts_steps_of_the_environment() -> None:
    env = make_env(None, distribution_mode="easy", action_repeat=3, time_limit=5)
    env.reset(seed=0)
    assert [env.step(4)[3] for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("repeat", [0, -2, 101, 1.5])
def test_a_number_out_of_range_is_one_line(repeat: float) -> None:
    with pytest.raises(ConfigError, match="action_repeat") as error:
        make_env(None, action_repeat=repeat)
    assert "\n" not in str(error.value)
