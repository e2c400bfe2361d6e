"""Loss terms against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from heist_encoders.autoencoders.losses import (
    element_map_loss,
    element_maps,
    element_masks,
    element_weights,
    kl_divergence,
    pixel_loss,
)
from heist_encoders.autoencoders.perceptual import PerceptualFeatures


def boxes_of(*rows: dict[int, tuple[int, int, int, int]]) -> torch.Tensor:
    boxes = torch.zeros(len(rows), 7, 4, dtype=torch.int16)
    for frame, row in enumerate(rows):
        for element, box in row.items():
            boxes[frame, element] = torch.tensor(box, dtype=torch.int16)
    return boxes


def test_masks_are_half_open() -> None:
    rows, columns = element_masks(boxes_of({3: (10, 20, 16, 24)}))
    assert rows[0, 3].nonzero().flatten().tolist() == [20, 21, 22, 23]
    assert columns[0, 3].nonzero().flatten().tolist() == [10, 11, 12, 13, 14, 15]
    assert rows.sum() == 4
    assert columns.sum() == 6


def test_plain_pixel_losses() -> None:
    frames, image = torch.full((2, 3, 64, 64), 0.5), torch.full((2, 3, 64, 64), 0.3)
    loss, mse = pixel_loss(frames, image, None, 2)
    assert float(loss) == pytest.approx(0.04)
    assert float(mse) == pytest.approx(0.04)
    loss, mse = pixel_loss(frames, image, None, 4)
    assert float(loss) == pytest.approx(0.0016)
    assert float(mse) == pytest.approx(0.04)


def test_elements_get_their_share_whatever_their_size() -> None:
    # Frame 0: element 0 on 4 pixels, off by 0.1. Frame 1: element 6 on 8 pixels, off by 0.2. Elsewhere off by 0.3.
    boxes = boxes_of({0: (0, 0, 2, 2)}, {6: (60, 62, 64, 64)})
    frames, image = torch.zeros(2, 3, 64, 64), torch.full((2, 3, 64, 64), 0.3)
    image[0, :, 0:2, 0:2], image[1, :, 62:64, 60:64] = 0.1, 0.2
    weights = element_weights(boxes, 0.9)
    assert float(weights.sum()) == pytest.approx(1.0)
    assert float(weights[0, 0, 0]) == pytest.approx(0.9 / 2 / 4)
    assert float(weights[1, 63, 63]) == pytest.approx(0.9 / 2 / 8)
    assert float(weights[0, 5, 5]) == pytest.approx(0.1 / (2 * 4096 - 12))
    loss, _ = pixel_loss(frames, image, weights, 2)
    assert float(loss) == pytest.approx(0.9 * (0.01 + 0.04) / 2 + 0.1 * 0.09, rel=1e-5)
    loss, _ = pixel_loss(frames, image, weights, 4)
    assert float(loss) == pytest.approx(0.9 * (0.0001 + 0.0016) / 2 + 0.1 * 0.0081, rel=1e-5)


def test_an_elements_share_is_spread_over_all_its_frames() -> None:
    weights = element_weights(boxes_of({2: (0, 0, 1, 1)}, {2: (8, 8, 11, 9)}, {}), 0.6)
    assert float(weights[0, 0, 0]) == pytest.approx(0.6 / 4)
    assert float(weights[1, 8, 10]) == pytest.approx(0.6 / 4)
    assert float(weights[2, 0, 0]) == pytest.approx(0.4 / (3 * 4096 - 4))


def test_weights_without_any_element_or_share() -> None:
    torch.testing.assert_close(element_weights(boxes_of({}, {}), 0.9), torch.full((2, 64, 64), 1 / 8192))
    weights = element_weights(boxes_of({0: (0, 0, 4, 4)}), 0.0)
    assert float(weights[0, 0, 0]) == 0.0
    assert float(weights.sum()) == pytest.approx(1.0)


def test_kl_of_known_gaussians() -> None:
    mean = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    log_variance = torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)]])
    kl = kl_divergence(mean, log_variance)
    assert float(kl[0]) == pytest.approx((0.5 + 4.5) / 2)
    assert float(kl[1]) == pytest.approx(0.5 * (4.0 - 1.0 - math.log(4.0)) / 2)


def test_weights_stay_float32_under_autocast() -> None:
    boxes = boxes_of({0: (0, 0, 3, 5)}, {1: (7, 9, 20, 30)})
    frames, image = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    expected = pixel_loss(frames, image, element_weights(boxes, 0.7), 2)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pixel_loss(frames, image, element_weights(boxes, 0.7), 2)[0]
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


def test_element_maps_mark_the_cells_that_a_box_touches() -> None:
    boxes = torch.zeros(1, 7, 4, dtype=torch.int16)
    boxes[0, 2] = torch.tensor([7, 16, 17, 24], dtype=torch.int16)  # columns 0 to 2, row 2
    maps = element_maps(boxes)
    assert maps.shape == (1, 7, 8, 8)
    assert maps[0, 2].nonzero().tolist() == [[2, 0], [2, 1], [2, 2]]
    assert maps.sum() == 3


def test_element_map_loss_by_hand() -> None:
    boxes = torch.zeros(1, 7, 4, dtype=torch.int16)
    boxes[0, 0] = torch.tensor([0, 0, 8, 8], dtype=torch.int16)  # one cell of 448
    # A logit of 0 costs ln 2 everywhere, eight times in the one cell that shows the element.
    loss = element_map_loss(torch.zeros(1, 448), boxes)
    assert float(loss) == pytest.approx(math.log(2) * (447 + 8) / 448)
