from __future__ import annotations

import numpy as np
import torch

from heist_encoders.training.data import ShuffleSampler, Split
from tests.training.fakes import Squares


def test_the_sampler_gives_shuffled_passes_and_a_position_says_all() -> None:
    sampler = ShuffleSampler(10, seed=4)
    whole = sampler.take(0, 35)
    assert [sorted(whole[i : i + 10].tolist()) for i in (0, 10, 20)] == [list(range(10))] * 3
    assert not np.array_equal(whole[:10], whole[10:20])
    other = ShuffleSampler(10, seed=4)
    np.testing.assert_array_equal(other.take(13, 22), whole[13:])
    np.testing.assert_array_equal(other.take(0, 5), whole[:5])
    assert not np.array_equal(ShuffleSampler(10, seed=5).take(0, 10), whole[:10])


def test_batches_come_in_order_with_their_maps() -> None:
    data = Squares(20, 4)
    split = Split(data, "train", with_maps=True, device=torch.device("cpu"))
    indices = np.array([[3, 1], [19, 0], [7, 7]])
    batches = list(split.batches(indices))
    assert len(batches) == 3
    for batch, places in zip(batches, indices, strict=True):
        np.testing.assert_array_equal(batch.frames.numpy(), data.frames("train")[places])
        assert batch.maps is not None
        np.testing.assert_array_equal(batch.maps.numpy(), data.semantic_maps("train").maps[places])
    plain = Split(data, "train", with_maps=False, device=torch.device("cpu"))
    assert plain.pick(indices[0]).maps is None


def test_spread_is_even() -> None:
    split = Split(Squares(10, 4), "train", with_maps=False, device=torch.device("cpu"))
    assert split.spread(5).tolist() == [0, 2, 4, 6, 8]
    assert split.spread(99).tolist() == list(range(10))
