"""A configured loss: the autoencoder's own terms, element weighting, KL warm-up and the perceptual term."""

from __future__ import annotations

import torch
from torch import Tensor

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.losses import LossTerms, element_weights
from heist_encoders.autoencoders.perceptual import PerceptualFeatures
from heist_encoders.training.config import LossConfig


def beta_at(config: LossConfig, progress: float) -> float:
    """The weight of the KL divergence when the fraction ``progress`` of the planned training is done."""
    if config.beta_warmup <= 0:
        return config.beta
    return config.beta * min(1.0, progress / config.beta_warmup)


class Objective:
    """The loss of a batch.

    Args:
        config: which terms, with which weights.
        device: where the perceptual network lies, if there is one.
    """

    def __init__(self, config: LossConfig, device: str | torch.device = "cpu") -> None:
        self.config = config
        self.alpha = config.element_weight or 0.0
        self.perceptual = PerceptualFeatures().to(device) if config.perceptual > 0 else None
        if self.perceptual is not None:
            self.perceptual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def needs_boxes(self) -> bool:
        """Whether the loss looks at where the elements are."""
        return self.alpha > 0

    def __call__(
        self,
        model: BaseAutoencoder,
        frames: Tensor,
        output: Output,
        boxes: Tensor | None = None,
        *,
        progress: float = 1.0,
    ) -> LossTerms:
        """Judge a batch.

        Args:
            model: whose ``loss_function`` is asked.
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of ``model(frames)``.
            boxes: integers (B, 7, 4), half open x0 y0 x1 y1; None counts all pixels alike.
            progress: fraction of the planned training that is done, for the warm-up of beta.
        """
        weights = element_weights(boxes, self.alpha) if self.needs_boxes and boxes is not None else None
        terms = model.loss_function(
            frames,
            output,
            weights=weights,
            power=4 if self.config.pixel == "power4" else 2,
            beta=beta_at(self.config, progress),
            free_bits=self.config.free_bits,
        )
        if self.perceptual is None:
            return terms
        distance = self.perceptual.loss(frames, output.reconstruction)
        return terms._replace(total=terms.total + self.config.perceptual * distance, perceptual=distance.detach())
