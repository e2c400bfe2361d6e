"""A configured loss: named terms, each with its weight.

A new term is two places: its weight, a field of ``LossConfig`` with the term's name, and a class here with the
decorator ``@term``. Reports, logs, checkpoints and curves show it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.autoencoders.base import BaseAutoencoder, Output
from heist_encoders.autoencoders.losses import class_weights, rarity_weights
from heist_encoders.autoencoders.perceptual import PerceptualFeatures
from heist_encoders.autoencoders.semantic_decoder import SemanticDecoder
from heist_encoders.errors import ConfigError
from heist_encoders.semantic import UNKNOWN, coarse_maps
from heist_encoders.training.config import LossConfig


class Batch(NamedTuple):
    """Some samples, as they are stored."""

    frames: Tensor
    """uint8 (B, 64, 64, 3)."""
    maps: Tensor | None = None
    """uint8 (B, 64, 64), the semantic maps, or None where the loss needs none."""


@dataclass(frozen=True)
class Context:
    """What a loss must know besides its configuration.

    Attributes:
        classes: of the semantic maps; empty where there are none.
        rarity: float32 (512,), weights of quantised colours (``rarity_table``), or None.
    """

    classes: tuple[str, ...] = ()
    rarity: Tensor | None = None


class Losses(NamedTuple):
    """What a batch costs. Scalars, float32."""

    total: Tensor
    """The weighted sum of the terms, with a gradient."""
    terms: dict[str, Tensor]
    """Each term before its weight, and ``mse``, the plain mean squared error over all pixels; without a gradient."""


class Term(nn.Module):
    """A term of the loss beside the autoencoder's own (``BaseAutoencoder.loss_function``).

    ``needs_maps`` says that it looks at the semantic maps. What it has of parameters is trained along with the
    autoencoder and is no part of an artifact.
    """

    needs_maps: ClassVar[bool] = False

    def __init__(self, model: BaseAutoencoder, context: Context) -> None:
        super().__init__()

    def forward(self, frames: Tensor, output: Output, maps: Tensor | None) -> Tensor:
        """A float32 scalar, mean over the batch.

        Args:
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of the autoencoder.
            maps: uint8 (B, 64, 64), or None.
        """
        raise NotImplementedError


TERMS: dict[str, type[Term]] = {}
"""Name of a term, which is the name of its weight in ``LossConfig``, -> its class."""

TermClass = TypeVar("TermClass", bound=type[Term])


def term(name: str) -> Callable[[TermClass], TermClass]:
    """Class decorator that adds a term; ``LossConfig`` must have a weight of this name."""
    assert name in LossConfig.model_fields, name

    def add(cls: TermClass) -> TermClass:
        TERMS[name] = cls
        return cls

    return add


@term("perceptual")
class Perceptual(Term):
    """Distance in what AlexNet's first two convolutions see."""

    def __init__(self, model: BaseAutoencoder, context: Context) -> None:
        super().__init__(model, context)
        # Frozen, and the same for all: no part of the state that checkpoints hold.
        features = PerceptualFeatures().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        object.__setattr__(self, "_features", features)

    def forward(self, frames: Tensor, output: Output, maps: Tensor | None) -> Tensor:
        features = cast(PerceptualFeatures, self._features)
        return features.to(frames.device).loss(frames, output.reconstruction)


@term("semantic_map")
class SemanticMap(Term):
    """Cross-entropy of the coarse semantic map that a small decoder reads from the encoding, in nats a block.

    Blocks weigh by the square root of how rare their class is in the batch, so that objects count.
    """

    needs_maps = True

    def __init__(self, model: BaseAutoencoder, context: Context) -> None:
        super().__init__(model, context)
        self.num_classes = len(context.classes)
        self.decoder = SemanticDecoder(tuple(model.encoding_shape), self.num_classes)

    def forward(self, frames: Tensor, output: Output, maps: Tensor | None) -> Tensor:
        assert maps is not None
        target = coarse_maps(maps, self.num_classes)
        return map_cross_entropy(self.decoder(output.encoding), target)


def map_cross_entropy(logits: Tensor, target: Tensor, power: float = 0.5) -> Tensor:
    """Cross-entropy in nats, each class weighing by a power of its rarity in the batch.

    Args:
        logits: float (B, classes, H, W).
        target: int64 (B, H, W); ``UNKNOWN`` does not count.
        power: 0 weighs blocks alike, 1 classes. The higher, the sooner something rare is learned, and the more often
            it is seen where it is not.
    """
    blocks = target.flatten()  # counted without a look at their values, for which a GPU would be waited for
    counts = torch.zeros(UNKNOWN + 1, device=target.device).scatter_add_(0, blocks, torch.ones_like(blocks).float())
    counts = counts[: logits.shape[1]]
    weights = (counts.sum() / counts.clamp(min=1)).clamp(max=900.0) ** power
    return functional.cross_entropy(logits.float(), target, weights, ignore_index=UNKNOWN)


class Objective:
    """The loss of a batch.

    Args:
        config: which terms, with which weights.
        model: the autoencoder that is trained.
        context: what the data say.
        device: where the networks of the loss lie, if there are any.

    Raises:
        ConfigError: if the configuration asks for semantic maps and the data have none.
    """

    def __init__(
        self,
        config: LossConfig,
        model: BaseAutoencoder,
        context: Context | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config, self.context = config, context or Context()
        used = [name for name in TERMS if getattr(config, name) > 0]
        if (config.weighting == "classes" or any(TERMS[name].needs_maps for name in used)) and not self.context.classes:
            raise ConfigError(
                "loss: weighting 'classes' and semantic_map need semantic maps, which this game's data do not have; "
                "set weighting to 'rarity' and semantic_map to 0"
            )
        if config.weighting == "rarity" and self.context.rarity is None:
            raise ConfigError("loss: weighting 'rarity' needs the colours of the training frames (rarity_table)")
        self.terms = nn.ModuleDict({name: TERMS[name](model, self.context) for name in used}).to(device)
        self.table = None if self.context.rarity is None else self.context.rarity.to(device)

    def parameters(self) -> list[nn.Parameter]:
        """What is trained along with the autoencoder."""
        return list(self.terms.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of what is trained along; empty where nothing is."""
        return dict(self.terms.state_dict())

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``state_dict`` gave."""
        self.terms.load_state_dict(tensors)

    def pixel_weights(self, batch: Batch) -> Tensor | None:
        """float32 (B, 64, 64) that sums to 1, or None where all pixels count alike."""
        if self.config.weighting == "classes":
            assert batch.maps is not None
            return class_weights(batch.maps, len(self.context.classes), self.config.class_share)
        if self.config.weighting == "rarity":
            assert self.table is not None
            return rarity_weights(batch.frames, self.table)
        return None

    def __call__(
        self,
        model: BaseAutoencoder,
        frames: Tensor,
        output: Output,
        batch: Batch,
        *,
        progress: float = 1.0,
        shard: slice | None = None,
    ) -> Losses:
        """The loss of a batch.

        Args:
            model: whose ``loss_function`` gives the first terms.
            frames: float32 (B, 3, 64, 64) in [0, 1].
            output: of ``model(frames)``.
            batch: what ``frames`` were made of, on the same device.
            progress: fraction of the planned training that is done, for the warm-up of beta.
            shard: which rows of ``batch`` (then a whole batch) belong to ``frames``; None: all. Pixels then weigh as in
                the whole batch, so that the mean loss over its equal shards is its loss.
        """
        weights, maps = self.pixel_weights(batch), batch.maps
        if shard is not None:
            weights = None if weights is None else weights[shard] * (len(batch.frames) / len(frames))
            maps = None if maps is None else maps[shard]
        terms = model.loss_function(
            frames, output, weights=weights, power=self.config.power, free_bits=self.config.free_bits
        )
        terms |= {name: compute(frames, output, maps) for name, compute in self.terms.items()}
        factors, in_full = self.config.weights(progress), self.config.weights()
        # A term whose warm-up begins is in the graph already: DistributedDataParallel wants the same one each step.
        total = torch.stack([factors[name] * value for name, value in terms.items() if in_full[name] > 0]).sum()
        with torch.no_grad():
            mse = (output.reconstruction.float() - frames).square().mean()
        return Losses(total, {**{name: value.detach() for name, value in terms.items()}, "mse": mse})


class ModelWithLoss(nn.Module):
    """An autoencoder and its loss as one module, so that DistributedDataParallel averages the gradients of both.

    Args:
        model: the autoencoder.
        forward: its forward pass: itself, or its compiled self.
        objective: the loss.
    """

    def __init__(self, model: BaseAutoencoder, forward: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.pass_through, self.terms = model, forward, objective.terms
        self.objective = objective

    def forward(self, frames: Tensor, batch: Batch, progress: float, shard: slice | None) -> Tensor:
        """The loss of a shard, a float32 scalar. Arguments as of ``Objective``."""
        output = self.pass_through(frames)
        return self.objective(self.model, frames, output, batch, progress=progress, shard=shard).total
