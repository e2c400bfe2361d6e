"""The map probe reads what is there, guesses where nothing is, and is scored as the definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from heist_encoders.evaluation.semantic_probe import (
    MapProbeSettings,
    Maps,
    Normaliser,
    best_thresholds,
    intersection_over_union,
    read_maps,
    shown_classes,
)
from heist_encoders.semantic import UNKNOWN
from heist_encoders.training.objective import map_cross_entropy

CLASSES = ("floor", "wall", "key", "door")
QUICK = MapProbeSettings(samples=4_000, batch_size=16)


def one_hot(maps: Maps) -> NDArray[np.float32]:
    """(N, S, S) -> float32 (N, classes, S, S)."""
    return np.ascontiguousarray(np.eye(len(CLASSES), dtype=np.float32)[maps].transpose(0, 3, 1, 2))


def cell_maps(count: int, cells: int, seed: int) -> Maps:
    """Random maps of cells: mostly floor and wall, the last two classes rare."""
    return np.random.default_rng(seed).choice(4, (count, cells, cells), p=(0.5, 0.3, 0.1, 0.1)).astype(np.uint8)


def seen(cells: Maps, side: int = 16) -> Maps:
    """Maps of cells as maps of blocks: each block shows the cell in which its middle lies."""
    at = ((np.arange(side) + 0.5) * cells.shape[1] / side).astype(int)
    return np.ascontiguousarray(cells[:, at][:, :, at])


def test_intersection_over_union_by_hand() -> None:
    actual = np.array([[[0, 0], [1, 2]], [[0, 1], [1, 1]]], np.uint8)
    predicted = np.array([[[0, 1], [1, 3]], [[0, 1], [1, 0]]], np.uint8)
    miou, iou = intersection_over_union(predicted, actual, CLASSES)
    assert iou["floor"] == pytest.approx(2 / 4)  # TP 2, FN 1, FP 1
    assert iou["wall"] == pytest.approx(3 / 5)  # TP 3, FN 1, FP 1
    assert iou["key"] == 0  # there, but never said
    assert np.isnan(iou["door"])  # said, but never there
    assert miou == pytest.approx((2 / 4 + 3 / 5 + 0) / 3)
    assert intersection_over_union(actual, actual, CLASSES)[0] == 1
    unknown = actual.copy()
    unknown[0, 0, 1] = UNKNOWN  # the floor that was called a wall counts no longer
    _, iou = intersection_over_union(predicted, unknown, CLASSES)
    assert (iou["floor"], iou["wall"]) == (pytest.approx(2 / 3), pytest.approx(3 / 4))


def test_unknown_blocks_do_not_teach() -> None:
    maps = torch.from_numpy(cell_maps(4, 16, 0)).long()
    unknown = torch.zeros_like(maps, dtype=torch.bool)
    unknown[:, :, ::2] = True
    logits = torch.randn(4, len(CLASSES), 16, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = map_cross_entropy(logits, maps.masked_fill(unknown, UNKNOWN))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    taught = logits.grad.abs().sum(1)
    assert (taught[unknown] == 0).all()
    assert (taught[~unknown] > 0).all()
    # The known half alone costs as much.
    torch.testing.assert_close(loss, map_cross_entropy(logits[:, :, :, 1::2], maps[:, :, 1::2]))


@pytest.mark.parametrize("cells", [16, 8, 9])
def test_a_lossless_encoding_is_read(cells: int) -> None:
    train, test = cell_maps(128, cells, 0), cell_maps(32, cells, 1)
    found = read_maps(one_hot(train), seen(train), one_hot(test), seen(test), CLASSES, settings=QUICK)
    assert found.miou > 0.95
    assert found.predictions.shape == (32, 16, 16)
    assert found.miou == intersection_over_union(found.predictions, seen(test), CLASSES)[0]
    assert found.shown is not None
    assert ((found.shown > 0) == shown_classes(seen(test), len(CLASSES))).mean() > 0.98


def test_a_threshold_tells_most_frames_right() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.5, 0.2], [0.3, 0.5, 0.3], [0.1, 0.4, 0.4]], np.float32)
    actual = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    thresholds = best_thresholds(scores, actual)
    assert ((scores > thresholds) == actual)[:, [0, 2]].all()
    assert thresholds[0] == pytest.approx(0.55)
    assert (scores[:, 1] > thresholds[1]).tolist() == [True, True, True, False]  # equal scores are told alike
    rare = np.arange(10)[:, None] == 3
    noise = np.zeros((10, 1), np.float32)  # tells nothing, so the answer is what is more frequent
    assert not (noise > best_thresholds(noise, rare)).any()
    assert (noise > best_thresholds(noise, ~rare)).all()


def test_noise_is_worth_a_guess() -> None:
    rng = np.random.default_rng(0)
    train, test = cell_maps(64, 8, 0), cell_maps(32, 8, 1)
    x, x_test = (rng.standard_normal((count, 6)).astype(np.float32) for count in (64, 32))
    found = read_maps(
        x, seen(train), x_test, seen(test), CLASSES, settings=MapProbeSettings(samples=512, batch_size=32)
    )
    majority, _ = intersection_over_union(np.zeros_like(seen(test)), seen(test), CLASSES)
    assert found.miou < majority + 0.15


def test_same_seed_same_reading_and_no_global_randomness() -> None:
    maps = cell_maps(48, 8, 0)

    def read(seed: int) -> Any:
        settings = MapProbeSettings(samples=96, batch_size=16)
        return read_maps(
            one_hot(maps), seen(maps), one_hot(maps[:8]), seen(maps[:8]), CLASSES, seed=seed, settings=settings
        )

    before = torch.random.get_rng_state()
    first = read(3)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    second, other = read(3), read(4)
    assert np.array_equal(first.predictions, second.predictions)
    assert first.iou == second.iou
    assert not np.array_equal(first.predictions, other.predictions)


def test_normaliser_is_by_channel_in_images_and_by_dimension_in_vectors() -> None:
    image = np.stack([np.full((2, 4, 4), v, np.uint8) for v in (10, 30)])
    image[:, 1] = 7  # a channel that doesn't vary
    z = Normaliser(image)(image)
    assert z[:, 0].flatten(1).mean(1).tolist() == [-1, 1]
    assert not z[:, 1].any()
    flat = Normaliser(np.array([[0.0, 5.0], [2.0, 5.0]], np.float32))
    assert flat(np.array([[3.0, 900.0], [1e9, 5.0]], np.float32)).tolist() == [[2, 0], [20, 0]]
