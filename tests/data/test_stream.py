"""The endless source of labelled batches."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.sampler import draw_chunk
from heist_encoders.data.stream import FrameStream, cut, stream
from heist_encoders.errors import ConfigError, DatasetError, HeistEncodersError, ResourceError

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset

SPEC = DatasetSpec(size=1, seed=5)


@pytest.mark.parametrize("batch_size", [100, 1500])
def test_batches_have_their_size_and_no_frame_comes_twice(batch_size: int) -> None:
    batches = list(islice(stream(SPEC, batch_size=batch_size), 3000 // batch_size))
    assert {len(batch.frames) for batch in batches} == {batch_size}
    poses = np.concatenate(
        [np.column_stack([b.labels[n] for n in ("level_seed", "progress", "agent_x", "agent_y")]) for b in batches]
    )
    assert len(np.unique(poses, axis=0)) > 0.99 * len(poses)
    again = next(stream(SPEC, batch_size=batch_size))
    np.testing.assert_array_equal(again.frames, batches[0].frames)


def test_stream_is_not_the_dataset_and_can_be_entered_anywhere() -> None:
    first, second = islice(stream(SPEC, batch_size=1008), 2)
    np.testing.assert_array_equal(next(stream(SPEC, batch_size=1008, start=1)).frames, second.frames)
    dataset = draw_chunk(DatasetSpec(size=1008, seed=5, test_fraction=0.0), DatasetSpec(size=1008).chunks()[0])
    assert not np.isin(first.labels["level_seed"], dataset.labels["level_seed"]).any()


def test_processes_draw_the_same_frames() -> None:
    wanted = list(islice(stream(SPEC, batch_size=400), 8))
    for workers in (1, 2):
        with FrameStream(SPEC, workers=workers).open(0) as chunks:
            for batch, plain in zip(cut(chunks, 400), wanted, strict=False):
                np.testing.assert_array_equal(batch.frames, plain.frames)
                for name, column in plain.labels.items():
                    np.testing.assert_array_equal(batch.labels[name], column)
                    assert batch.labels[name].dtype == column.dtype
                if plain is wanted[-1]:
                    break
    with FrameStream(SPEC).open(2450) as chunks:
        np.testing.assert_array_equal(next(cut(chunks, 350, skip=2450 % 1008)).frames, wanted[6].frames[50:])


def test_a_process_that_is_killed_says_so() -> None:
    with FrameStream(SPEC).open(0) as chunks:
        next(chunks)
        chunks._drawers[0]._process.kill()
        with pytest.raises(ResourceError, match=r"ended with status -9.*start again to go on") as caught:
            list(chunks)
        assert "\n" not in str(caught.value)


def test_what_a_process_cannot_draw_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "procgen.py").write_text("raise ImportError('no procgen here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with FrameStream(SPEC).open(0) as chunks, pytest.raises(HeistEncodersError, match="procgen is not installed"):
        next(chunks)


def test_a_stream_is_tested_on_a_dataset_or_on_frames_of_its_own(small_dataset: Dataset) -> None:
    own = FrameStream(small_dataset.spec)
    np.testing.assert_array_equal(own.frames("test"), small_dataset.frames("test"))
    some = slice(0, 64)
    np.testing.assert_array_equal(own.semantic_maps("test").pick(some), small_dataset.semantic_maps("test").pick(some))
    first = next(stream(small_dataset.spec, batch_size=1008))
    np.testing.assert_array_equal(own.frames("train")[:1008], first.frames)
    assert own.semantic_maps("train").pick(some).shape == (64, 64, 64)
    other = FrameStream(SPEC, small_dataset)
    np.testing.assert_array_equal(other.frames("test"), small_dataset.frames("test"))
    assert len({own.hash, other.hash, FrameStream(SPEC).hash}) == 3
    with pytest.raises(DatasetError, match="the stream has distribution_mode 'easy' and the dataset to test on has"):
        FrameStream({"distribution_mode": "easy"}, small_dataset)
    with pytest.raises(DatasetError, match="no test frames"):
        FrameStream({"size": 3}).frames("test")
    with pytest.raises(ConfigError, match="workers = 0"):
        FrameStream(SPEC, workers=0)


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="batch_size = 0"):
        stream(SPEC, batch_size=0)


def test_processes_draw_the_semantic_maps_too() -> None:
    stream_of = FrameStream(SPEC, workers=2)
    with stream_of.open(0, with_maps=True) as chunks:
        for rows, plain in zip(chunks, islice(stream(SPEC, batch_size=1008), 2), strict=False):
            maps = stream_of.maps_of(plain.labels).pick(slice(None))
            np.testing.assert_array_equal(rows.labels.pop("semantic_map"), maps)
            assert rows.labels.keys() == plain.labels.keys()
