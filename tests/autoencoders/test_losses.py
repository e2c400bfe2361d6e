"""Loss terms against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from heist_encoders.autoencoders.losses import (
    class_weights,
    kl_divergence,
    pixel_loss,
    quantised_colours,
    rarity_table,
    rarity_weights,
)
from heist_encoders.autoencoders.perceptual import PerceptualFeatures


def maps_of(*rows: dict[int, tuple[int, int, int, int]]) -> torch.Tensor:
    """Semantic maps of floor (0) with rectangles x0 y0 x1 y1 of other classes."""
    maps = torch.zeros(len(rows), 64, 64, dtype=torch.uint8)
    for frame, row in enumerate(rows):
        for number, (x0, y0, x1, y1) in row.items():
            maps[frame, y0:y1, x0:x1] = number
    return maps


def test_plain_pixel_losses() -> None:
    frames, image = torch.full((2, 3, 64, 64), 0.5), torch.full((2, 3, 64, 64), 0.3)
    assert float(pixel_loss(frames, image, None, 2)) == pytest.approx(0.04)
    assert float(pixel_loss(frames, image, None, 4)) == pytest.approx(0.0016)


def test_classes_get_their_share_whatever_their_size() -> None:
    # Frame 0: class 2 on 4 pixels, off by 0.1. Frame 1: class 8 on 8 pixels, off by 0.2. Elsewhere off by 0.3.
    maps = maps_of({2: (0, 0, 2, 2), 1: (0, 32, 64, 64)}, {8: (60, 62, 64, 64)})
    frames, image = torch.zeros(2, 3, 64, 64), torch.full((2, 3, 64, 64), 0.3)
    image[0, :, 0:2, 0:2], image[1, :, 62:64, 60:64] = 0.1, 0.2
    weights = class_weights(maps, 9, 0.9)
    assert float(weights.sum()) == pytest.approx(1.0)
    assert float(weights[0, 0, 0]) == pytest.approx(0.9 / 2 / 4)
    assert float(weights[1, 63, 63]) == pytest.approx(0.9 / 2 / 8)
    assert float(weights[0, 40, 5]) == pytest.approx(0.1 / 2 / 2048)  # wall
    assert float(weights[0, 5, 5]) == pytest.approx(0.1 / 2 / (2 * 4096 - 2048 - 12))  # floor
    assert float(pixel_loss(frames, image, weights, 2)) == pytest.approx(0.9 * (0.01 + 0.04) / 2 + 0.1 * 0.09, rel=1e-5)
    expected = 0.9 * (0.0001 + 0.0016) / 2 + 0.1 * 0.0081
    assert float(pixel_loss(frames, image, weights, 4)) == pytest.approx(expected, rel=1e-5)


def test_a_class_spreads_its_share_over_all_its_frames() -> None:
    weights = class_weights(maps_of({4: (0, 0, 1, 1)}, {4: (8, 8, 11, 9)}, {}), 9, 0.6)
    assert float(weights[0, 0, 0]) == pytest.approx(0.6 / 4)
    assert float(weights[1, 8, 10]) == pytest.approx(0.6 / 4)
    assert float(weights[2, 0, 0]) == pytest.approx(0.4 / (3 * 4096 - 4))


def test_class_weights_without_any_object_or_share() -> None:
    torch.testing.assert_close(class_weights(maps_of({}, {}), 9, 0.9), torch.full((2, 64, 64), 1 / 8192))
    weights = class_weights(maps_of({3: (0, 0, 4, 4)}), 9, 0.0)
    assert float(weights[0, 0, 0]) == 0.0
    assert float(weights.sum()) == pytest.approx(1.0)


def test_rare_colours_weigh_by_the_root_of_their_frequency() -> None:
    frames = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    frames[0, 0, :4] = torch.tensor([255, 32, 31], dtype=torch.uint8)  # 4 of 4,096 pixels
    frames[0, 1, 0] = 40  # one of 4,096: 2.4e-4
    assert quantised_colours(frames)[0, 0, 0] == 7 * 64 + 1 * 8 + 0
    table = rarity_table(frames)
    assert table.shape == (512,)
    assert float(table[7 * 64 + 8]) == pytest.approx((4 / 4096) ** -0.5)
    assert float(table[0]) == pytest.approx((4091 / 4096) ** -0.5)
    assert float(table[511]) == pytest.approx(2e-4**-0.5)  # never seen: capped
    weights = rarity_weights(frames, table)
    assert float(weights.sum()) == pytest.approx(1.0)
    assert float(weights[0, 1, 0] / weights[0, 0, 0]) == pytest.approx(2.0)


def test_kl_of_known_gaussians() -> None:
    mean = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    log_variance = torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)]])
    kl = kl_divergence(mean, log_variance)
    assert float(kl[0]) == pytest.approx((0.5 + 4.5) / 2)
    assert float(kl[1]) == pytest.approx(0.5 * (4.0 - 1.0 - math.log(4.0)) / 2)


def test_weights_stay_float32_under_autocast() -> None:
    maps = maps_of({2: (0, 0, 3, 5)}, {3: (7, 9, 20, 30)})
    frames, image = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    expected = pixel_loss(frames, image, class_weights(maps, 9, 0.7), 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pixel_loss(frames, image, class_weights(maps, 9, 0.7), 2)
    assert torch.equal(loss, expected)


def test_perceptual_features_by_hand() -> None:
    network = PerceptualFeatures()
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    first, second = network.features[0], network.features[3]
    image = frames.clone()
    for channel, (mean, deviation) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        image[:, channel] = (image[:, channel] - mean) / deviation
    hidden = functional.conv2d(image, first.weight, first.bias, stride=4, padding=2).clamp(min=0)  # type: ignore[arg-type]
    hidden = functional.max_pool2d(hidden, 3, 2)
    hidden = functional.conv2d(hidden, second.weight, second.bias, padding=2).clamp(min=0)  # type: ignore[arg-type]
    features = network(frames)
    assert features.shape == (2, 192, 7, 7)
    torch.testing.assert_close(features, 1 / (1 + torch.exp(-hidden)))

    other = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = (network(other) - features).square().mean()
    torch.testing.assert_close(network.loss(frames, other), expected)
    assert float(network.loss(frames, frames)) == 0.0


def test_the_perceptual_network_is_frozen_and_lets_gradients_through() -> None:
    network = PerceptualFeatures()
    assert not any(p.requires_grad for p in network.parameters())
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    network.loss(torch.rand(1, 3, 64, 64), image).backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
