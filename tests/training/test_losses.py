from __future__ import annotations

import pytest
import torch

from heist_encoders.autoencoders import Output, create_autoencoder
from heist_encoders.autoencoders.losses import element_map_loss
from heist_encoders.autoencoders.perceptual import PerceptualFeatures
from heist_encoders.training.config import LossConfig
from heist_encoders.training.losses import Objective, beta_at


def a_vae_output(reconstruction: float, mean: float) -> Output:
    means = torch.full((2, 4), mean)
    return Output(torch.full((2, 3, 64, 64), reconstruction), means, means, torch.zeros(2, 4))


def test_beta_warms_up() -> None:
    config = LossConfig(beta=0.5, beta_warmup=0.2)
    assert [beta_at(config, p) for p in (0.0, 0.1, 0.2, 1.0)] == [0.0, 0.25, 0.5, 0.5]
    assert beta_at(LossConfig(beta=0.5), 0.0) == 0.5


def test_kl_is_summed_over_dimensions_and_free_bits_cost_nothing_to_stay_under() -> None:
    model, frames = create_autoencoder("vae_paper"), torch.full((2, 3, 64, 64), 0.5)
    # Each dimension: KL = 0.5 * 0.6 ** 2 = 0.18; four of them.
    terms = Objective(LossConfig(beta=0.1))(model, frames, a_vae_output(0.4, 0.6))
    assert float(terms.kl) == pytest.approx(0.72)
    assert float(terms.total) == pytest.approx(0.01 + 0.1 * 0.72)
    terms = Objective(LossConfig(beta=0.1, free_bits=0.5))(model, frames, a_vae_output(0.4, 0.6))
    assert float(terms.total) == pytest.approx(0.01 + 0.1 * 2.0)
    assert float(terms.kl) == pytest.approx(0.72)
    warm = Objective(LossConfig(beta=0.1, beta_warmup=0.5))
    assert float(warm(model, frames, a_vae_output(0.4, 0.6), progress=0.25).total) == pytest.approx(0.01 + 0.05 * 0.72)


def test_element_weight_zero_and_none_are_the_plain_loss() -> None:
    model, frames = create_autoencoder("conv_maxpool"), torch.rand(2, 3, 64, 64)
    output = model(frames)
    boxes = torch.zeros(2, 7, 4, dtype=torch.int16)
    boxes[0, 0] = torch.tensor([0, 0, 32, 32], dtype=torch.int16)
    plain = (output.reconstruction - frames).square().mean()
    for alpha in (0, None):
        objective = Objective(LossConfig(element_weight=alpha))
        assert not objective.config.needs_boxes
        torch.testing.assert_close(objective(model, frames, output, boxes).total, plain)
    weighted = Objective(LossConfig(element_weight=0.9))(model, frames, output, boxes)
    error = (output.reconstruction - frames).square().mean(1)
    inside = error[0, :32, :32].mean()
    outside = (error.sum() - error[0, :32, :32].sum()) / (2 * 4096 - 1024)
    torch.testing.assert_close(weighted.total, 0.9 * inside + 0.1 * outside, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(weighted.mse, plain)


def test_the_perceptual_term_is_added_with_its_weight() -> None:
    model, frames = create_autoencoder("conv_maxpool"), torch.rand(2, 3, 64, 64)
    output = model(frames)
    distance = PerceptualFeatures().loss(frames, output.reconstruction)
    terms = Objective(LossConfig(element_weight=0, perceptual=0.3))(model, frames, output)
    torch.testing.assert_close(terms.perceptual, distance)
    torch.testing.assert_close(terms.total, terms.pixel + 0.3 * distance)


def test_the_element_map_term_is_added_with_its_weight() -> None:
    model, frames = create_autoencoder("conv_maxpool"), torch.rand(2, 3, 64, 64)
    output = model(frames)
    boxes = torch.zeros(2, 7, 4, dtype=torch.int16)
    boxes[1, 3] = torch.tensor([0, 0, 8, 8], dtype=torch.int16)
    objective = Objective(LossConfig(element_weight=0, element_map=0.5), model=model)
    assert objective.config.needs_boxes
    assert objective.reader is not None
    terms = objective(model, frames, output, boxes)
    torch.testing.assert_close(terms.element_map, element_map_loss(objective.reader(output.encoding), boxes))
    torch.testing.assert_close(terms.total, terms.pixel + 0.5 * terms.element_map)
    terms.total.backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in objective.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in (*objective.parameters(), *model.encoder.parameters()))
