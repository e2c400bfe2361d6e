"""The test at the end of an epoch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from heist_encoders.autoencoders.base import BaseAutoencoder
from heist_encoders.autoencoders.frames import to_input
from heist_encoders.training.active_units import ActiveUnits
from heist_encoders.training.data import Split
from heist_encoders.training.objective import Batch, Objective

_BATCH = 128


class TestResult(NamedTuple):
    """Means over the test frames."""

    loss: float
    terms: dict[str, float]
    """Each term of the loss before its weight, and ``mse``."""
    active_units: int


@torch.no_grad()
def test(
    model: BaseAutoencoder,
    split: Split,
    indices: npt.NDArray[np.int64],
    objective: Objective,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> TestResult:
    """Evaluate a model in eval mode on some frames of a split.

    Args:
        model: is left in eval mode.
        split: where the frames come from.
        indices: of these frames, int64 (N,).
        objective: the loss; beta is taken in full.
        device: of the model.
        dtype: bfloat16 for autocast, else float32.
    """
    model.eval()
    sums: dict[str, float] = {}
    units, count = ActiveUnits(), 0
    for begin in range(0, len(indices), _BATCH):
        batch = split.pick(indices[begin : begin + _BATCH])
        frames = to_input(batch.frames, device)
        batch = Batch(batch.frames.to(device), None if batch.maps is None else batch.maps.to(device))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = model(frames)
            losses = objective(model, frames, output, batch)
        size = len(frames)
        for name, value in {"loss": losses.total, **losses.terms}.items():
            sums[name] = sums.get(name, 0.0) + size * float(value)
        units.add(output)
        count += size
    means = {name: value / count for name, value in sums.items()}
    return TestResult(means.pop("loss"), means, units.count())
