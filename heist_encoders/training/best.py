"""The weights of the epoch with the lowest test loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from heist_encoders.training.checkpoint import model_tensors


@dataclass
class BestEpoch:
    """The best epoch so far and a copy of its weights."""

    epoch: int = -1
    test_loss: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, test_loss: float, model: nn.Module) -> bool:
        """Take a finished epoch over if its test loss is lower; whether it was."""
        if test_loss >= self.test_loss:
            return False
        self.epoch, self.test_loss, self.weights = epoch, test_loss, model_tensors(model)
        return True
