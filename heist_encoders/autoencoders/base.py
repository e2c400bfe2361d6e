"""What every autoencoder is: parameters, encode, forward, loss_function."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from heist_encoders.autoencoders.losses import MAP_CELLS, LossTerms, kl_divergence, pixel_loss
from heist_encoders.config import Config
from heist_encoders.constants import FRAME_SIZE
from heist_encoders.tasks.heist.elements import ELEMENTS


class Output(NamedTuple):
    """What a forward pass gives. ``encoding`` is deterministic in eval mode: a VAE's is its mean."""

    reconstruction: Tensor
    """float (B, 3, 64, 64) in [0, 1]."""
    encoding: Tensor
    """float32 (B, *encoding_shape)."""
    mean: Tensor | None = None
    """A VAE's mean, float32 (B, D)."""
    log_variance: Tensor | None = None
    """A VAE's log variance, float32 (B, D)."""


class BaseAutoencoder(nn.Module, ABC):
    """An autoencoder of (64, 64, 3) frames.

    A new one is one file: a ``Config`` with its sizes as ``Params``, ``encode`` and ``forward``, and the decorator
    ``@register_autoencoder(name=..., env_id=...)``.
    """

    name: ClassVar[str]
    env_id: ClassVar[str]
    Params: ClassVar[type[Config]]
    default_training: ClassVar[dict[str, Any]] = {}
    """Settings of ``TrainConfig`` that suit this family; whatever a user gives comes before them."""

    params: Config

    def __init__(self, params: Config) -> None:
        super().__init__()
        self.params = params
        self._encoding_shape: tuple[int, ...] | None = None

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """float32 (B, 3, 64, 64) in [0, 1] -> float32 (B, *encoding_shape)."""

    @abstractmethod
    def forward(self, frames: Tensor) -> Output:
        """float32 (B, 3, 64, 64) in [0, 1] -> reconstruction and encoding."""

    def map_reader(self) -> nn.Module:
        """A fresh layer that reads element maps from encodings: (B, *encoding_shape) -> logits (B, 7 * 8 * 8).

        The element map loss trains it along with the autoencoder, of which it is no part. It is linear; a family whose
        encoding says places in another way overrides this.
        """
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(self.encoding_shape), len(ELEMENTS) * MAP_CELLS**2))

    @property
    def encoding_shape(self) -> tuple[int, ...]:
        """The shape of one encoding, found by a dry pass."""
        if self._encoding_shape is None:
            mode, device = self.training, next(self.parameters()).device
            self.eval()
            with torch.no_grad():
                encoding = self.encode(torch.zeros(1, 3, FRAME_SIZE, FRAME_SIZE, device=device))
            self.train(mode)
            self._encoding_shape = tuple(encoding.shape[1:])
        return self._encoding_shape

    def loss_function(
        self,
        frames: Tensor,
        output: Output,
        *,
        weights: Tensor | None = None,
        power: int = 2,
        beta: float = 0.0,
        free_bits: float = 0.0,
    ) -> LossTerms:
        """Pixel loss plus, for a VAE, beta times the KL divergence. A family with a loss of its own overrides this.

        Args:
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of ``forward(frames)``.
            weights: of each pixel, float32 (B, 64, 64) that sums to 1 (``element_weights``); None counts all alike.
            power: of the pixel error: 2 or 4.
            beta: weight of the KL divergence (Higgins et al. 2017), summed over dimensions.
            free_bits: nats a dimension that cost nothing (Kingma et al. 2016).
        """
        pixel, mse = pixel_loss(frames, output.reconstruction, weights, power)
        total, kl = pixel, torch.zeros((), device=pixel.device)
        if output.mean is not None and output.log_variance is not None:
            by_dimension = kl_divergence(output.mean, output.log_variance)
            kl = by_dimension.detach().sum()
            if beta > 0:
                total = total + beta * by_dimension.clamp(min=free_bits).sum()
        none = torch.zeros((), device=pixel.device)
        return LossTerms(total, pixel.detach(), mse, kl, perceptual=none, element_map=none)
