"""Stacked encodings, previous action and reward: single and vector agree, with gymnasium too, across episodes' ends."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation, FrameStackObservation

from heist_encoders.envs import HistoryEnv, HistoryVectorEnv, make_env, make_vector_env
from heist_encoders.errors import ConfigError
from heist_encoders.zoo.encoder import Encoder

LEVELS = {"distribution_mode": "easy", "actions": "moves"}


def single(encoder: Encoder, **options: Any) -> HistoryEnv:
    return HistoryEnv(make_env(encoder, **LEVELS), **options)  # type: ignore[arg-type]


def random_actions(num: int, steps: int = 1_100) -> Any:
    return np.random.default_rng(0).integers(0, 9, (steps, num))


def test_vector_is_as_many_singles(easy_encoder: Encoder) -> None:
    options = {"frame_stack": 3, "previous_action_reward": True}
    vector = HistoryVectorEnv(make_vector_env(easy_encoder, num_envs=2, **LEVELS), **options)  # type: ignore[arg-type]
    singles = SyncVectorEnv([lambda: single(easy_encoder, **options)] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    size = easy_encoder.shape[0]
    assert vector.single_observation_space.shape == (3 * size + 10,)
    left, right = vector.reset(seed=5)[0], singles.reset(seed=5)[0]
    ends = 0
    starts = np.zeros(2, dtype=bool)
    for actions in random_actions(2):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)
        left, rewards, terminated, truncated, _ = vector.step(actions)
        right = singles.step(actions)[0]
        # The step that opens a level ignores its action.
        np.testing.assert_array_equal(left[:, 3 * size : -1], np.where(starts[:, None], 0, np.eye(9)[actions]))
        np.testing.assert_array_equal(left[:, -1], rewards)
        encodings = left[:, : 3 * size].reshape(2, 3, size)
        assert (encodings[starts] == encodings[starts][:, :1]).all()
        starts = terminated | truncated
        ends += int((terminated | truncated).sum())
    assert ends >= 2
    vector.close()
    singles.close()


def test_the_stack_is_gymnasiums(easy_encoder: Encoder) -> None:
    ours = single(easy_encoder, frame_stack=4)
    theirs = FlattenObservation(FrameStackObservation(make_env(easy_encoder, **LEVELS), 4))  # type: ignore[arg-type]
    np.testing.assert_array_equal(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
    for action in random_actions(1, 12)[:, 0]:
        np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])
    np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])


def test_a_mask_keeps_the_rows_of_others(easy_encoder: Encoder) -> None:
    env = HistoryVectorEnv(make_vector_env(easy_encoder, num_envs=2, **LEVELS), frame_stack=2)  # type: ignore[arg-type]
    env.reset(seed=0)
    for actions in random_actions(2, 5):
        rows = env.step(actions)[0]
    after = env.reset(options={"reset_mask": np.array([True, False])})[0]
    np.testing.assert_array_equal(after[1], rows[1])
    size = easy_encoder.shape[0]
    np.testing.assert_array_equal(after[0, :size], after[0, size:])


def test_rows_are_the_callers_own(easy_encoder: Encoder) -> None:
    env = single(easy_encoder, frame_stack=2, previous_action_reward=True)
    first = env.reset(seed=0)[0]
    first[...] = 7
    assert not (env.step(0)[0] == 7).any()


def test_bad_options(easy_encoder: Encoder) -> None:
    for stack in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match="frame_stack"):
            single(easy_encoder, frame_stack=stack)
    with pytest.raises(ConfigError, match="expected flat encodings"):
        HistoryEnv(make_env(None), frame_stack=2)
    same_step = SyncVectorEnv([lambda: make_env(easy_encoder, **LEVELS)], autoreset_mode=AutoresetMode.SAME_STEP)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected NEXT_STEP"):
        HistoryVectorEnv(same_step)
    continuous: Any = gymnasium.wrappers.TransformAction(
        make_env(easy_encoder), lambda action: 0, gymnasium.spaces.Box(0, 1)
    )
    with pytest.raises(ConfigError, match=r"expected Discrete"):
        HistoryEnv(continuous, previous_action_reward=True)
