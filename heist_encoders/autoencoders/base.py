"""What every autoencoder is: parameters, encode, forward, loss_function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from heist_encoders.autoencoders.losses import kl_divergence, pixel_loss
from heist_encoders.config import Config
from heist_encoders.constants import FRAME_SIZE
from heist_encoders.json_text import JsonObject


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

    A new one is one file, in this package or, by an entry point, in yours (docs/autoencoders.md): a ``Config`` with
    its sizes as ``Params``, ``encode`` and ``forward``, and the decorator ``@register_autoencoder(name=...)``.
    """

    name: ClassVar[str]
    env_id: ClassVar[str]
    Params: ClassVar[type[Config]]
    default_training: ClassVar[JsonObject] = {}
    """Settings of ``TrainConfig`` that suit this architecture; whatever a user gives comes before them."""
    search_space: ClassVar[Path | None] = None
    """A YAML file with its search space, where that isn't among this package's ``tune_configs``."""
    note: ClassVar[str] = ""
    """What a reader of its reconstructions must know; shown beside them in reports."""
    decoder_sees_more: ClassVar[bool] = False
    """Whether its decoder is given more of the frame than the encoding. Reconstructions say nothing about it then."""

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

    @classmethod
    def params_for(cls, params: JsonObject, cells_in_view: int | None) -> JsonObject:
        """Parameters with what the data decide filled in; an architecture that depends on them overrides this.

        Args:
            params: as configured.
            cells_in_view: cells of the world along each side of a frame; None where that is unknown.
        """
        return params

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
        free_bits: float = 0.0,
    ) -> dict[str, Tensor]:
        """The autoencoder's own terms of the loss, before their weights: float32 scalars by name.

        ``pixel``, and for a VAE ``kl``. An architecture with a loss of its own overrides this; ``LossConfig.weights``
        must know each name.

        Args:
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of ``forward(frames)``.
            weights: of each pixel, float32 (B, 64, 64) that sums to 1; None counts all alike.
            power: of the pixel error: 2 or 4.
            free_bits: nats a dimension of the KL divergence that cost nothing (Kingma et al. 2016).
        """
        terms = {"pixel": pixel_loss(frames, output.reconstruction, weights, power)}
        if output.mean is not None and output.log_variance is not None:
            terms["kl"] = kl_divergence(output.mean, output.log_variance).clamp(min=free_bits).sum()
        return terms
