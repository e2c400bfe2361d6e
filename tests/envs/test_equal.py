"""N games in a vector environment are N single environments, field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from heist_encoders.envs import HeistVectorEnv, make_env, make_vector_env
from heist_encoders.envs import games as games_module
from heist_encoders.tasks.heist.solver import Oracle
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import Encoder
from heist_encoders.zoo.options import EncoderOptions

Policy = Callable[[HeistVectorEnv], NDArray[np.int64]]


def random_policy(seed: int, num_actions: int) -> Policy:
    random = np.random.default_rng(seed)
    return lambda env: random.integers(0, num_actions, env.num_envs)


def oracle_policy(seed: int) -> Policy:
    """Half of the games play the shortest path, the others at random."""
    random, oracle = np.random.default_rng(seed), Oracle()

    def policy(env: HeistVectorEnv) -> NDArray[np.int64]:
        actions = random.integers(0, 9, env.num_envs)
        for i in range(0, env.num_envs, 2):
            actions[i] = oracle.action(env.engine.get_state(i))
        return actions

    return policy


def compare(vector: HeistVectorEnv, sync: SyncVectorEnv, steps: int, policy: Policy) -> tuple[int, int]:
    """Play both with the same actions; the numbers of terminations and truncations seen."""
    observation, info = vector.reset(seed=5)
    expected, expected_info = sync.reset(seed=5)
    same(observation, expected)
    same_info(info, expected_info)
    terminations = truncations = 0
    for _ in range(steps):
        actions = policy(vector)
        left, right = vector.step(actions), sync.step(actions)
        same(left[0], right[0])
        for given, wanted in zip(left[1:4], right[1:4], strict=True):
            np.testing.assert_array_equal(given, wanted)
            assert given.dtype == wanted.dtype
        same_info(left[4], right[4])
        terminations += int(left[2].sum())
        truncations += int(left[3].sum())
    return terminations, truncations


def same(given: NDArray[Any], wanted: NDArray[Any]) -> None:
    assert given.dtype == wanted.dtype
    assert given.shape == wanted.shape
    if given.dtype == np.uint8:
        np.testing.assert_array_equal(given, wanted)
    else:  # a batch of one may sum in another order; normalised encodings are of the order of 1
        np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5)


def same_info(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert given.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_array_equal(given[key], value, err_msg=key)


def both(num: int, encoder: Encoder | None, **options: Any) -> tuple[HeistVectorEnv, SyncVectorEnv]:
    singles = [lambda: make_env(encoder, **options) for _ in range(num)]
    sync = SyncVectorEnv(singles, autoreset_mode=AutoresetMode.NEXT_STEP)
    return make_vector_env(encoder, num_envs=num, frames_in_info=True, **options), sync


def test_terminations_with_encodings(easy_encoder: Encoder) -> None:
    vector, sync = both(6, easy_encoder, distribution_mode="easy", actions="moves")
    terminations, _ = compare(vector, sync, 300, oracle_policy(1))
    assert terminations > 10
    vector.close()
    sync.close()


def test_random_play_in_memory_mode(encoder: Encoder) -> None:
    vector, sync = both(5, encoder, normalize=True, num_levels=3, start_level=7)
    compare(vector, sync, 200, random_policy(2, 15))


def test_truncations_with_pixels() -> None:
    vector, sync = both(3, None, distribution_mode="hard")
    _, truncations = compare(vector, sync, 1_100, random_policy(3, 1))  # only down and left: nobody arrives
    assert truncations == 3


@pytest.mark.parametrize("game", ["chaser", "bigfish", "starpilot", "leaper"])
def test_other_games(game: str) -> None:
    vector, sync = both(4, None, game=game, distribution_mode="easy", use_backgrounds=True)
    terminations, _ = compare(vector, sync, 250, random_policy(4, 15))
    assert terminations > 0


def test_unchanged_frames_are_not_encoded_again(artifact_of: Callable[[str], Artifact]) -> None:
    class Counting(Encoder):
        encoded = 0

        def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            self.encoded += len(frames)
            return super().encode(frames)

    counting = Counting(artifact_of("memory"), EncoderOptions(device="cpu", backend="torch"))
    env = make_vector_env(counting, num_envs=8, frames_in_info=True)
    observation, info = env.reset(seed=1)
    random = np.random.default_rng(1)
    steps = 100
    for _ in range(steps):
        # Half of the games stand still most of the time.
        actions = np.where(np.arange(8) < 4, 4, random.integers(0, 15, 8))
        observation, _, _, _, info = env.step(actions)
        every = Encoder.encode(counting, info["frame"])
        np.testing.assert_allclose(observation, every, rtol=1e-4, atol=1e-6)
    assert counting.encoded < 0.7 * 8 * steps


def test_difference_of_frames_is_exact() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    others = frames.copy()
    others[1, 0, 0, 0] ^= 1
    others[3, 63, 63, 2] ^= 128
    others[4] = 0
    expected = [False, True, False, True, True, False]
    assert games_module.differing(frames, others).tolist() == expected
