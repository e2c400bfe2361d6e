from __future__ import annotations

import torch

from heist_encoders.training.hardware import denormals_as_zero


def product() -> float:
    return float(torch.tensor([1e-30]) * torch.tensor([1e-10]))


def test_denormals_are_zero_in_the_block_alone() -> None:
    assert product() > 0.0
    with denormals_as_zero():
        assert product() == 0.0
        with denormals_as_zero():
            assert product() == 0.0
        assert product() == 0.0
    assert product() > 0.0
