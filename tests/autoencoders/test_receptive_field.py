"""No part of the screen may be out of an encoder's sight."""

from __future__ import annotations

import pytest
import torch

from heist_encoders.autoencoders import autoencoder_names, create_autoencoder


@pytest.mark.parametrize("name", autoencoder_names())
def test_the_encoding_sees_the_whole_frame(name: str) -> None:
    torch.manual_seed(0)
    params = {"bottleneck_activation": "none"} if name.startswith("conv_maxpool") else {}
    model = create_autoencoder(name, params).eval()
    frames = torch.rand(16, 3, 64, 64, requires_grad=True)
    model.encode(frames).square().sum().backward()
    assert frames.grad is not None
    seen = frames.grad.abs().sum(dim=(0, 1)) > 0  # (64, 64)
    # Kernels and pools without padding may miss a column or two of wall at the right and lower edge.
    assert seen[:60, :60].float().mean() > 0.99
    assert seen.float().mean() > 0.9
