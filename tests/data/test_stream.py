"""The endless source of labelled batches."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.sampler import draw_chunk
from heist_encoders.data.stream import stream
from heist_encoders.errors import ConfigError

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


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="batch_size = 0"):
        stream(SPEC, batch_size=0)
