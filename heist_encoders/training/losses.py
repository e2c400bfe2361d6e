"""A configured loss: the autoencoder's own terms, element weighting, KL warm-up and the perceptual term."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.losses import LossTerms, element_map_loss, element_weights
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
        device: where the networks of the loss lie, if there are any.
        model: the autoencoder that is judged; needed where the element map loss has a weight.
    """

    reader: nn.Module | None = None
    """Reads the element maps from encodings; trained along with the autoencoder."""

    def __init__(
        self, config: LossConfig, device: str | torch.device = "cpu", *, model: BaseAutoencoder | None = None
    ) -> None:
        self.config = config
        if config.element_map > 0:
            assert model is not None, "the element map loss reads encodings of one autoencoder"
            self.reader = model.map_reader().to(device)
        self.alpha = config.element_weight or 0.0
        self.perceptual = PerceptualFeatures().to(device) if config.perceptual > 0 else None
        if self.perceptual is not None:
            self.perceptual.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def parameters(self) -> list[nn.Parameter]:
        """What is trained along with the autoencoder."""
        return [] if self.reader is None else list(self.reader.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of what is trained along; empty where nothing is."""
        return {} if self.reader is None else self.reader.state_dict()

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``state_dict`` gave."""
        if self.reader is not None:
            self.reader.load_state_dict(tensors)

    def __call__(
        self,
        model: BaseAutoencoder,
        frames: Tensor,
        output: Output,
        boxes: Tensor | None = None,
        *,
        progress: float = 1.0,
        part: slice | None = None,
    ) -> LossTerms:
        """Judge a batch.

        Args:
            model: whose ``loss_function`` is asked.
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of ``model(frames)``.
            boxes: integers (B, 7, 4), half open x0 y0 x1 y1; None counts all pixels alike.
            progress: fraction of the planned training that is done, for the warm-up of beta.
            part: which rows of ``boxes`` (then those of a whole batch) belong to ``frames``; None: all. Elements are
                then weighted as in the whole batch, so that the mean loss over its equal parts is its loss.
        """
        weights = element_weights(boxes, self.alpha) if self.alpha > 0 and boxes is not None else None
        if part is not None and boxes is not None:
            weights = None if weights is None else weights[part] * (len(boxes) / len(frames))
            boxes = boxes[part]
        terms = model.loss_function(
            frames,
            output,
            weights=weights,
            power=4 if self.config.pixel == "power4" else 2,
            beta=beta_at(self.config, progress),
            free_bits=self.config.free_bits,
        )
        if self.reader is not None and boxes is not None:
            maps = element_map_loss(self.reader(output.encoding), boxes)
            terms = terms._replace(total=terms.total + self.config.element_map * maps, element_map=maps.detach())
        if self.perceptual is not None:
            distance = self.perceptual.loss(frames, output.reconstruction)
            terms = terms._replace(total=terms.total + self.config.perceptual * distance, perceptual=distance.detach())
        return terms
