from __future__ import annotations

import torch

from heist_encoders.autoencoders.base import Output
from heist_encoders.training.active_units import ActiveUnits


def count(encodings: torch.Tensor, log_variance: torch.Tensor | None = None) -> int:
    """Over two batches of unequal sizes."""
    units = ActiveUnits()
    frames = torch.zeros(len(encodings), 3, 1, 1)
    for part in (slice(0, 30), slice(30, None)):
        noise = None if log_variance is None else log_variance[part]
        units.add(Output(frames[part], encodings[part], None if noise is None else encodings[part], noise))
    return units.count()


def test_without_a_prior_a_unit_is_active_that_varies_at_all() -> None:
    torch.manual_seed(0)
    encodings = torch.zeros(100, 2, 2) + 1000
    encodings[:, 0, 0] = torch.randn(100)
    encodings[:, 1, 1] += 0.01 * torch.randn(100)
    assert count(encodings) == 2


def test_a_units_variance_is_measured_against_a_vaes_noise() -> None:
    torch.manual_seed(0)
    encodings = torch.stack([torch.randn(100), 0.05 * torch.randn(100), 0.05 * torch.randn(100)], 1)
    log_variance = torch.log(torch.tensor([1.0, 1.0, 0.01])).repeat(100, 1)
    assert count(encodings, log_variance) == 2


def test_no_frames() -> None:
    assert ActiveUnits().count() == 0
