"""What only the vector environment has."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from heist_encoders.envs import make_vector_env
from heist_encoders.errors import ConfigError, UnknownNameError
from heist_encoders.zoo.encoder import Encoder


def test_made_by_gymnasium() -> None:
    env = gymnasium.make_vec(
        "heist_encoders:heist-pixels-v0", num_envs=3, vectorization_mode="vector_entry_point", num_levels=2
    )
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert sorted(info) == ["_level_complete", "_level_seed", "level_complete", "level_seed"]
    assert set(info["level_seed"]) <= {0, 1}
    observation, rewards, terminated, truncated, info = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert rewards.shape == terminated.shape == truncated.shape == (3,)
    env.close()
    env.close()


def test_seeds_count_up() -> None:
    env = make_vector_env(None, num_envs=3)
    levels = env.reset(seed=10)[1]["level_seed"].tolist()
    assert levels == env.reset(seed=[10, 11, 12])[1]["level_seed"].tolist()
    assert levels[1:] == env.reset(seed=11)[1]["level_seed"].tolist()[:2]
    assert len(set(levels)) == 3


def test_level_seeds_for_all_or_each() -> None:
    env = make_vector_env(None, num_envs=3)
    frames, info = env.reset(options={"level_seed": 9})
    assert info["level_seed"].tolist() == [9, 9, 9]
    assert (frames == frames[0]).all()
    assert env.reset(options={"level_seed": np.array([1, 2, 3])})[1]["level_seed"].tolist() == [1, 2, 3]


def test_a_mask_resets_some(encoder: Encoder) -> None:
    env, control = (make_vector_env(encoder, num_envs=4, frames_in_info=True) for _ in range(2))
    env.reset(seed=1)
    control.reset(seed=1)
    random = np.random.default_rng(0)
    for _ in range(10):
        actions = random.integers(0, 15, 4)
        observation = env.step(actions)[0]
        control.step(actions)
    mask = np.array([False, True, False, True])
    after, info = env.reset(seed=[7, 8, 9, 10], options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_level_seed"], mask)
    np.testing.assert_array_equal(after[~mask], observation[~mask])
    fresh = make_vector_env(encoder, num_envs=4)
    np.testing.assert_allclose(after[mask], fresh.reset(seed=[7, 8, 9, 10])[0][mask], rtol=1e-4, atol=1e-6)
    for _ in range(20):
        actions = random.integers(0, 15, 4)
        left, right = env.step(actions), control.step(actions)
        np.testing.assert_allclose(left[0][~mask], right[0][~mask], rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(left[4]["frame"][~mask], right[4]["frame"][~mask])


def test_rendering(encoder: Encoder) -> None:
    env = make_vector_env(encoder, num_envs=2, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = env.render()
    assert pictures is not None
    assert [picture.shape for picture in pictures] == [(512, 1024, 3)] * 2
    assert make_vector_env(None, num_envs=1).render() is None


def test_observations_are_the_callers_own(encoder: Encoder) -> None:
    for chosen in (None, encoder):
        env = make_vector_env(chosen, num_envs=2, frames_in_info=True)
        first, info = env.reset(seed=0)
        kept, kept_frames = first.copy(), info["frame"].copy()
        second = env.step([0, 8])[0]
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(info["frame"], kept_frames)
        second[...] = 0
        assert env.step([4, 4])[0].any()


@pytest.mark.parametrize("actions", [[0], [0, 0, 0], [0, 15], [-1, 0], [0.0, 1.0], [[0, 1]], "ab"])
def test_bad_actions(actions: Any) -> None:
    env = make_vector_env(None, num_envs=2)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="actions"):
        env.step(actions)


def test_bad_resets() -> None:
    env = make_vector_env(None, num_envs=2)
    with pytest.raises(ResetNeeded):
        env.step([0, 0])
    with pytest.raises(ResetNeeded):
        env.reset(options={"reset_mask": np.array([True, False])})
    for options in ({"level_seed": [1]}, {"level_seed": [1, -1]}, {"reset_mask": np.array([False, False])}):
        with pytest.raises(ConfigError):
            env.reset(options=options)
    with pytest.raises(UnknownNameError):
        env.reset(options={"mask": 1})
    with pytest.raises(ConfigError, match="expected 2"):
        env.reset(seed=[1])


@pytest.mark.parametrize("num", [0, -1, 1.5, "2"])
def test_bad_numbers_of_games(num: Any) -> None:
    with pytest.raises(ConfigError, match="num_envs"):
        make_vector_env(None, num_envs=num)


def test_no_window_for_many() -> None:
    with pytest.raises(ConfigError, match="rgb_array"):
        make_vector_env(None, num_envs=2, render_mode="human")
