from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from heist_encoders.zoo.weights import load_weights


class Scaled(nn.Module):
    """Reads a value of a tensor while it is built, as an architecture of somebody's own may."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = torch.linspace(0, 1, 3)[2].item()
        self.layer = nn.Linear(size, 1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file({"layer.weight": torch.full((1, 2), 3.0), "layer.bias": torch.zeros(1), "more": torch.zeros(1)},
              tmp_path / "w.safetensors")  # fmt: skip
    return tmp_path / "w.safetensors"


def test_networks_may_read_values_while_they_are_built(weights: Path) -> None:
    network = load_weights(lambda: Scaled(2), weights, ("more",))
    assert network.scale == 1.0
    assert network.layer.weight.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("size", [2**30, 2**62, 2**70])
def test_sizes_that_no_memory_holds_are_not_asked_for(weights: Path, size: int) -> None:
    with pytest.raises(RuntimeError, match=r"much larger than its weights|overflowed"):
        load_weights(lambda: Scaled(size), weights, ("more",))


@pytest.mark.parametrize("apart", [(), ("more", "layer.bias")])
def test_other_weights_are_refused(weights: Path, apart: tuple[str, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"Unexpected key|Missing key"):
        load_weights(lambda: Scaled(2), weights, apart)
