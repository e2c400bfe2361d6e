"""The single environment: seeds, levels, ends of episodes, options, rendering, gymnasium's own checks."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import heist_encoders
from heist_encoders.constants import EVALUATION_LEVELS, GAMES, MAX_LEVEL_SEED
from heist_encoders.engine import Engine
from heist_encoders.envs import HeistEnv, make_env, make_vector_env
from heist_encoders.envs.games import Games
from heist_encoders.errors import (
    ArtifactError,
    ConfigError,
    HeistEncodersError,
    MissingDependencyError,
    UnknownNameError,
)
from heist_encoders.tasks.heist.solver import Oracle
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import Encoder


def play(env: HeistEnv, seed: int, steps: int) -> list[Any]:
    """Everything that an environment says in random play."""
    random = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    said: list[Any] = [observation, *info.values()]
    for _ in range(steps):
        observation, *rest, info = env.step(random.integers(env.action_space.n))
        said += [observation, *rest, *info.values()]
        if rest[1] or rest[2]:
            observation, info = env.reset()
            said += [observation, *info.values()]
    return said


def test_the_same_seed_gives_the_same_everything(encoder: Encoder) -> None:
    first, second = make_env(encoder), make_env(encoder)
    second.reset(seed=3)
    second.step(2)
    for left, right in zip(play(first, 11, 120), play(second, 11, 120), strict=True):
        np.testing.assert_array_equal(left, right)


def test_seeds_choose_levels() -> None:
    env = make_env(None)
    levels = [env.reset(seed=seed)[1]["level_seed"] for seed in range(20)]
    assert len(set(levels)) == 20
    assert levels == [env.reset(seed=seed)[1]["level_seed"] for seed in range(20)]
    env.reset(seed=0)
    following = [env.reset()[1]["level_seed"] for _ in range(5)]
    env.reset(seed=0)
    assert following == [env.reset()[1]["level_seed"] for _ in range(5)]


def test_level_seed_opens_that_level() -> None:
    env, other = make_env(None), make_env(None, start_level=5)
    for level in (0, 12_345, MAX_LEVEL_SEED):
        frame, info = env.reset(options={"level_seed": level})
        assert info["level_seed"] == level
        env.step(0)
        np.testing.assert_array_equal(frame, other.reset(options={"level_seed": level})[0])
    with Engine(1) as engine:
        engine.load_levels([12_345])
        np.testing.assert_array_equal(env.reset(options={"level_seed": 12_345})[0], engine.frames[0])


@pytest.mark.parametrize(("start", "num"), [(50, 1), (1_000_000, 4), (MAX_LEVEL_SEED - 1, 2), (MAX_LEVEL_SEED - 1, 0)])
def test_levels_stay_in_their_set(start: int, num: int) -> None:
    env = make_env(None, start_level=start, num_levels=num, distribution_mode="easy")
    seen = {env.reset(seed=seed)[1]["level_seed"] for seed in range(40)}
    assert seen == set(range(start, start + (num or 2)))


def test_start_level_is_honoured_without_num_levels() -> None:
    env = make_env(None, start_level=2_000_000_000)
    assert all(env.reset(seed=seed)[1]["level_seed"] >= 2_000_000_000 for seed in range(20))


def test_training_never_sees_an_evaluation_level() -> None:
    for start in (0, EVALUATION_LEVELS.start - 3):
        games = make_env(None, start_level=start)._games
        random = np.random.default_rng(0)
        levels = {games.draw_level(random) for _ in range(500)}
        assert start <= min(levels) <= max(levels) < EVALUATION_LEVELS.start


def test_the_exit_terminates() -> None:
    env, oracle = make_env(None, distribution_mode="easy", actions="moves"), Oracle()
    frame, info = env.reset(seed=2)
    for _ in range(200):
        before, level = frame, info["level_seed"]
        frame, reward, terminated, truncated, info = env.step(oracle.action(env.engine.get_state(0)))
        if terminated:
            break
        assert (reward, truncated, info["level_complete"]) == (0.0, False, False)
    assert (reward, terminated, truncated, info["level_complete"]) == (10.0, True, False, True)
    np.testing.assert_array_equal(frame, before)  # the last one seen
    assert info["level_seed"] == level
    with pytest.raises(ResetNeeded):
        env.step(0)
    assert env.reset()[1]["level_complete"] is False


def test_the_time_limit_truncates_at_1000_steps() -> None:
    env = make_env(None)
    for _ in range(2):
        env.reset(seed=4)
        for step in range(1, 1_001):
            _, reward, terminated, truncated, info = env.step(4)
            assert truncated is (step == 1_000)
            assert (reward, terminated, info["level_complete"]) == (0.0, False, False)


@pytest.mark.parametrize("game", GAMES)
def test_time_limits_are_the_engines(game: str) -> None:
    """The fifth number after the two generators of a state is the limit (see heist.state)."""
    with Engine(1, game=game, distribution_mode="hard") as engine:
        blob = engine.get_state(0)
    place = 8 + len(game) + 17 * 4
    for _ in range(2):
        place += 8 + int.from_bytes(blob[place + 4 : place + 8], "little")
    assert int.from_bytes(blob[place + 16 : place + 20], "little") == GAMES[game].time_limit


def test_death_terminates_in_other_games() -> None:
    env = make_env(None, game="starpilot", distribution_mode="easy")
    env.reset(seed=0)
    random = np.random.default_rng(0)
    deaths = 0
    for _ in range(600):
        _, _, terminated, truncated, info = env.step(random.integers(15))
        assert not truncated
        deaths += terminated and not info["level_complete"]
        if terminated:
            env.reset()
    assert deaths > 0


def test_moves_are_the_first_nine_actions() -> None:
    moves, every = make_env(None, actions="moves"), make_env(None)
    assert moves.action_space.n == 9
    assert every.action_space.n == 15
    moves.reset(seed=1)
    every.reset(seed=1)
    for action in list(range(9)) * 5:
        np.testing.assert_array_equal(moves.step(action)[0], every.step(action)[0])


def test_observations_are_the_encoders(encoder: Encoder) -> None:
    plain, normalized = make_env(encoder), make_env(encoder, normalize=True)
    left, info = plain.reset(seed=1)
    right, _ = normalized.reset(seed=1)
    np.testing.assert_array_equal(left, encoder.encode(info["frame"][None])[0])
    np.testing.assert_array_equal(right, (left - encoder.mean) / encoder.std)
    assert left.dtype == right.dtype == np.float32
    assert left.shape == plain.observation_space.shape == encoder.shape


def test_observations_are_the_callers_own(encoder: Encoder) -> None:
    for chosen in (None, encoder):
        env, control = make_env(chosen), make_env(chosen)
        observation, info = env.reset(seed=1)
        control.reset(seed=1)
        observation[...] = 0
        info["frame"][...] = 0
        np.testing.assert_array_equal(env.step(4)[0], control.step(4)[0])


@pytest.mark.parametrize("pixels", [True, False])
def test_gymnasiums_checks(pixels: bool, artifact_of: Callable[[str], Artifact]) -> None:
    id = "heist-pixels-v0"
    if not pixels:
        id = "checked-v0"
        heist_encoders.register_encoder_env(id, artifact_of("memory"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env = gymnasium.make(f"heist_encoders:{id}", render_mode="rgb_array")
        check_env(env.unwrapped)
        env.reset()
        env.step(env.action_space.sample())
        env.close()
    unexpected = [str(w.message) for w in caught if "infinity" not in str(w.message)]
    assert unexpected == []
    assert len(caught) == (0 if pixels else 2)


def test_rendering_shows_frame_and_reconstruction(encoder: Encoder) -> None:
    env = make_env(encoder, render_mode="rgb_array")
    _, info = env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (512, 1024, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[::8, :512:8], info["frame"])
    np.testing.assert_array_equal(picture[7::8, 519::8], encoder.reconstruct(info["frame"][None])[0])
    pixels = make_env(None, render_mode="rgb_array")
    frame, _ = pixels.reset(seed=1)
    np.testing.assert_array_equal(pixels.render()[::8, ::8], frame)
    assert make_env(None).render() is None


def test_a_window_needs_pygame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install pygame"):
        make_env(None, render_mode="human")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"distribution_mode": "memroy"}, UnknownNameError, "did you mean 'memory'"),
        ({"game": "hiest"}, UnknownNameError, "did you mean 'heist'"),
        ({"num_levels": -1}, ConfigError, "num_levels = -1"),
        ({"num_levels": 1.5}, ConfigError, "num_levels = 1.5: .* valid integer"),
        ({"devise": "cpu"}, UnknownNameError, "unknown option 'devise'; did you mean 'device'"),
        ({"start_level": -3}, ConfigError, "start_level = -3"),
        ({"start_level": MAX_LEVEL_SEED, "num_levels": 2}, ConfigError, "beyond the last level"),
        ({"actions": "some"}, UnknownNameError, "moves"),
        ({"render_mode": "ansi"}, UnknownNameError, "rgb_array"),
        ({"game": "coinrun", "distribution_mode": "memory"}, ConfigError, "coinrun has no distribution_mode"),
        ({"encoder": "vae_alexx"}, UnknownNameError, "vae_alex"),
        ({"encoder": "/nowhere/at/all"}, ArtifactError, "no such artifact"),
    ],
)
def test_bad_options_in_one_line(options: dict[str, Any], error: type[HeistEncodersError], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        make_env(**options)
    assert "\n" not in str(raised.value)


def test_procgen_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(MissingDependencyError, match="procgen is not installed") as raised:
        make_env(None)
    assert "\n" not in str(raised.value)


def test_another_mode_than_the_artifacts(artifact_of: Callable[[str], Artifact], encoder: Encoder) -> None:
    for given in (artifact_of("memory"), str(artifact_of("memory").path), encoder):
        with pytest.raises(ArtifactError, match="trained on memory frames, asked for easy"):
            make_env(given, distribution_mode="easy")
    assert make_env(artifact_of("easy")).options.distribution_mode == "easy"
    assert make_env(encoder, game="maze", distribution_mode="easy", other_game=True).options.game == "maze"


def test_bad_resets_and_steps() -> None:
    env = make_env(None, actions="moves")
    with pytest.raises(ResetNeeded):
        env.step(0)
    for level in (-1, MAX_LEVEL_SEED + 1, 1.5, "3", True):
        with pytest.raises(ConfigError, match="level_seed"):
            env.reset(options={"level_seed": level})
    with pytest.raises(UnknownNameError, match="level_seed"):
        env.reset(options={"level_sed": 1})
    env.reset()
    for action in (9, -1, 0.5, None):
        with pytest.raises(ConfigError, match=r"0\.\.8"):
            env.step(action)


def test_forgotten_engines_may_be_collected_at_any_time() -> None:
    """Even while cffi holds the lock under which it opens the library for another engine."""
    env: Any = make_env(None)
    lock = env.engine._env._ffi._lock
    env.itself = env
    del env
    collector = threading.Thread(target=gc.collect, daemon=True)
    with lock:
        collector.start()
        collector.join(timeout=30)
        assert not collector.is_alive()


def test_a_game_stands_still_while_another_is_opened() -> None:
    games = Games(2, make_env(None).options)
    games.open({0: 1, 1: 2})
    control = Games(1, make_env(None).options)
    control.open({0: 1})
    for action in (0, 3, 7, 8):
        games.step(np.array([action, action]))
        control.step(np.array([action]))
    games.open({1: 3})
    assert games.level_seeds.tolist() == [1, 3]
    for action in (2, 2, 6, 1):
        np.testing.assert_array_equal(games.frames[0], control.frames[0])
        games.step(np.array([action, 0]))
        control.step(np.array([action]))


def test_a_closed_environment_says_so() -> None:
    env = make_env(None, distribution_mode="easy")
    env.reset(seed=1)
    env.close()
    env.close()
    uses: list[Callable[[], Any]] = [
        env.reset, lambda: env.reset(options={"level_seed": 3}), lambda: env.step(0), env.get_state, lambda: env.engine,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="the environment is closed"):
            use()
    envs = make_vector_env(None, num_envs=2, distribution_mode="easy")
    envs.reset(seed=1)
    envs.close()
    for use in (envs.reset, lambda: envs.step([0, 0]), envs.get_states):
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="the environment is closed"):
            use()
