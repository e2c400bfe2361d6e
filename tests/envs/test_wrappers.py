"""Gymnasium's own wrappers, rendering modes and vector wrappers on this package's ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.wrappers import vector

from heist_encoders.envs import register_encoder_env
from heist_encoders.errors import ConfigError
from heist_encoders.zoo.encoder import Encoder

PIXELS = "heist_encoders:heist-pixels-v0"
VECTORISED = ("vector_entry_point", "sync")


@pytest.fixture(scope="module")
def encoded(encoder: Encoder) -> Iterator[str]:
    """The id of a small random encoder."""
    register_encoder_env("wrappers-test-v0", encoder.artifact, backend="torch")
    yield "heist_encoders:wrappers-test-v0"
    del gymnasium.registry["wrappers-test-v0"]


@pytest.fixture(params=["pixels", "encoded"])
def id(request: pytest.FixtureRequest) -> str:
    return PIXELS if request.param == "pixels" else request.getfixturevalue("encoded")


def play(env: Any, steps: int = 7, seed: int = 0) -> list[Any]:
    """What ``reset`` and each step gave; actions drawn by ``seed``."""
    env.action_space.seed(seed)
    found: list[Any] = [env.reset(seed=seed)]
    for _ in range(steps):
        found.append(env.step(env.action_space.sample()))
        assert np.shape(found[-1][0]) == env.observation_space.shape
    env.close()
    return found


@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.RecordEpisodeStatistics,
        wrappers.NormalizeObservation,
        wrappers.NormalizeReward,
        wrappers.FlattenObservation,
        lambda env: wrappers.FrameStackObservation(env, 3),
        lambda env: wrappers.TimeAwareObservation(wrappers.FlattenObservation(env)),
        lambda env: wrappers.ClipReward(env, -1, 1),
        wrappers.Autoreset,
    ],
    ids=["statistics", "normalize", "reward", "flatten", "stack", "time", "clip", "autoreset"],
)
def test_wrappers(wrap: Callable[[Any], Any], id: str) -> None:
    found = play(wrap(gymnasium.make(id, max_episode_steps=5)), steps=5)
    *_, terminated, truncated, info = found[-1]
    assert truncated
    assert not terminated
    assert info.get("episode", {"l": 5})["l"] == 5


@pytest.mark.parametrize(("mode", "what"), [("vector_entry_point", "encoded"), ("sync", "pixels")])
@pytest.mark.parametrize(
    "wrap",
    [
        vector.RecordEpisodeStatistics,
        vector.NormalizeObservation,
        vector.NormalizeReward,
        vector.FlattenObservation,
        lambda env: vector.ClipReward(env, -1, 1),
    ],
    ids=["statistics", "normalize", "reward", "flatten", "clip"],
)
def test_vector_wrappers(wrap: Callable[[Any], Any], mode: Any, what: str, request: pytest.FixtureRequest) -> None:
    id = PIXELS if what == "pixels" else request.getfixturevalue("encoded")
    found = play(wrap(gymnasium.make_vec(id, num_envs=2, vectorization_mode=mode, max_episode_steps=5)))
    assert [step[3].tolist() for step in found[1:]] == [[False] * 2] * 4 + [[True] * 2] + [[False] * 2] * 2


@pytest.mark.parametrize("mode", [*VECTORISED, "async"])
def test_infos_as_a_list(mode: Any) -> None:
    """Nested and partial infos, those of drawn starts, are split by game; a finished episode's statistics with them."""
    starts = {"start_share": 1.0, "start_distribution": "uniform", "distribution_mode": "easy", "actions": "moves"}
    vectors = gymnasium.make_vec(PIXELS, num_envs=2, vectorization_mode=mode, max_episode_steps=3, **starts)
    found = play(vector.DictInfoToList(vector.RecordEpisodeStatistics(vectors)), steps=4)
    single = play(gymnasium.make(PIXELS, **starts), steps=0)[0][1]
    first = found[0][1]
    assert [sorted(info["start"]) for info in first] == [["cell", "distance", "progress"]] * 2
    assert first[0]["level_seed"] == single["level_seed"]
    assert first[0]["start"]["cell"].tolist() == single["start"]["cell"].tolist()
    # An episode lasts 3 steps at most; the step after its end says where the next begins.
    assert all("start" not in info for info in found[1][4])
    ended = [info["episode"]["l"] for step in found[1:4] for info in step[4] if "episode" in info]
    assert ended
    assert max(ended) <= 3


@pytest.mark.parametrize("limit", [3, 2_000])
def test_max_episode_steps_are_those_of_single_environments(limit: int) -> None:
    vectors = gymnasium.make_vec(PIXELS, num_envs=1, max_episode_steps=limit, start_level=5, num_levels=1)
    single = gymnasium.make(PIXELS, max_episode_steps=limit, start_level=5, num_levels=1)
    assert [bool(s[3][0]) for s in play(vectors, 3)[1:]] == [s[3] for s in play(single, 3)[1:]]
    with pytest.raises(ConfigError, match=r"max_episode_steps = 0: expected a whole number, at least 1"):
        gymnasium.make_vec(PIXELS, num_envs=1, max_episode_steps=0)
    gymnasium.make_vec(PIXELS, num_envs=1, max_episode_steps=-1).close()


def test_list_of_pictures(id: str) -> None:
    """What gymnasium's ``RenderCollection`` of single pictures gives."""
    ours = gymnasium.make(id, render_mode="rgb_array_list")
    theirs = wrappers.RenderCollection(gymnasium.make(id, render_mode="rgb_array"))
    for env in (ours, theirs):
        env.action_space.seed(1)
    for _ in range(2):  # a reset begins a new list
        for env in (ours, theirs):
            env.reset(seed=3)
            for _ in range(2):
                env.step(env.action_space.sample())
    pictures: list[Any] = [env.render() for env in (ours, theirs)]
    assert len(pictures[0]) == 3
    np.testing.assert_array_equal(*pictures)
    assert ours.render() == []
    ours.step(0)
    assert len(ours.render()) == 1  # type: ignore[arg-type]


def test_lists_of_pictures_of_many() -> None:
    """As many single environments give the same: a game that opens a level begins its list anew."""
    found = []
    for mode in VECTORISED:
        envs: Any = gymnasium.make_vec(
            PIXELS, num_envs=2, vectorization_mode=mode, max_episode_steps=3, render_mode="rgb_array_list"
        )
        assert envs.render_mode == "rgb_array_list"
        envs.reset(seed=5)
        mask = np.array([False, True])
        lengths = []
        for step in range(6):
            envs.step(np.array([3, 5]))
            if step == 1:
                envs.reset(options={"reset_mask": mask})
            if step in (3, 5):
                pictures = envs.render()
                lengths.append([len(part) for part in pictures])
        found.append((lengths, pictures))
        envs.close()
    assert found[0][0] == found[1][0] == [[1, 3], [2, 1]]
    for ours, theirs in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*Overwriting existing videos")
def test_videos(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = gymnasium.make(PIXELS, render_mode="rgb_array_list", max_episode_steps=2)
    play(wrappers.RecordVideo(env, str(tmp_path), name_prefix="one", episode_trigger=lambda number: True), steps=2)
    envs = gymnasium.make_vec(PIXELS, num_envs=2, render_mode="rgb_array")
    play(vector.RecordVideo(envs, str(tmp_path), name_prefix="two", episode_trigger=lambda number: True), steps=2)
    films = sorted(tmp_path.iterdir())
    assert [film.name for film in films] == ["one-episode-0.mp4", "two-episode-0.mp4"]
    assert all(film.stat().st_size > 1_000 for film in films)
