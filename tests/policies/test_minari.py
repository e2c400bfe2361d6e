"""The oracle's episodes as a Minari dataset, there whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from heist_encoders.errors import ConfigError, MissingDependencyError, UnknownNameError
from heist_encoders.policies import minari as ours
from heist_encoders.policies.minari import record_minari

minari = pytest.importorskip("minari")
NAME = "heist/oracle-easy-v0"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Minari keeps that dataset."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return tmp_path / NAME


def test_frames_can_be_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_TOGETHER", 2)
    seen: list[tuple[int, int]] = []
    made = record_minari(NAME, episodes=3, mode="easy", progress=lambda *done: seen.append(done))
    assert seen == [(2, 3), (3, 3)]
    assert list(minari.list_local_datasets()) == [NAME]
    dataset = minari.load_dataset(NAME)
    assert len(dataset) == len(made) == 3
    assert dataset.total_steps == sum(len(episode.actions) for episode in dataset.iterate_episodes())
    env = dataset.recover_environment()
    levels = []
    for episode in dataset.iterate_episodes():
        levels.append(int(episode.infos["level_seed"][0]))
        frame, _ = env.reset(options={"level_seed": levels[-1]})
        for step, action in enumerate(episode.actions):
            np.testing.assert_array_equal(episode.observations[step], frame)
            frame, reward, terminated, truncated, _ = env.step(action)
            assert (episode.rewards[step], episode.terminations[step]) == (reward, terminated)
            assert not truncated
            assert not episode.truncations[step]
        assert episode.rewards.sum() == 10
    env.close()
    assert len(set(levels)) == 3
    with pytest.raises(ConfigError, match="already"):
        record_minari(NAME, episodes=2)


def test_a_recording_that_breaks_off_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = place.with_name(f".{place.name}.1234.tmp")  # of one that was killed
    (leftover / "data").mkdir(parents=True)
    monkeypatch.setattr(ours, "_TOGETHER", 1)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_minari(NAME, episodes=2, progress=stop)
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["no version!", "heist/oracle", "../oracle-v0", ""])
def test_ids_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="is no id of Minari's"):
        record_minari(name, episodes=1)


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="episodes = 0"):
        record_minari(NAME, episodes=0)
    with pytest.raises(UnknownNameError, match="did you mean 'easy'"):
        record_minari(NAME, episodes=1, mode="esy")
    monkeypatch.setitem(sys.modules, "minari.dataset.minari_dataset", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'heist-encoders\[minari\]'"):
        record_minari(NAME, episodes=1)
