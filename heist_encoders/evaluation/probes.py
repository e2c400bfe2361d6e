"""Small probes on frozen encodings: what can be read from them, and how easily.

A linear probe and an MLP with one hidden layer of 256 ReLU units (Alain & Bengio 2016, "Understanding intermediate
layers using linear classifier probes"), trained on standardised encodings with Adam, a cosine schedule and early
stopping on a slice of the training rows. Every target has a probe of its own; nothing is shared between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from heist_encoders.evaluation.frames import Floats

HIDDEN = 256
VALIDATION_FRACTION = 0.1

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(outputs (B, K), targets (B, K), weights (B, K)) -> scalar mean over the entries of weight 1."""


@dataclass(frozen=True)
class ProbeSettings:
    """How a probe is trained. The defaults are the MLP probe's in every figure of this package."""

    batch_size: int = 512
    max_epochs: int = 25
    patience: int = 5
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2


LINEAR = ProbeSettings(max_epochs=40, learning_rate=1e-2)
"""A linear probe has fewer weights to learn and stands longer steps; its loss is convex."""


@dataclass(frozen=True)
class Standardiser:
    """(x - mean) / standard deviation, by the statistics of the training rows; constant dimensions become 0.

    Attributes:
        mean: float32 (D,). scale: float32 (D,), 1 / standard deviation, or 0 for a dimension that doesn't vary.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, x: Tensor) -> Standardiser:
        """Statistics of x (N, D) over the rows; what is not finite counts as 0."""
        x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        mean = x.mean(0)
        std = x.std(0, correction=0)
        varies = std > 1e-6 * (1e-3 + mean.abs())
        return cls(mean, torch.where(varies, 1 / std.clamp_min(1e-30), 0.0))

    def __call__(self, x: Tensor) -> Tensor:
        """x (N, D) -> (N, D), clipped to +-20 standard deviations so that one odd test row can't overflow a probe."""
        x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        return ((x - self.mean) * self.scale).clamp_(-20, 20)


def binary_loss(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Binary cross-entropy of logits (B, K) against 0/1 targets, over the entries of weight 1."""
    losses = functional.binary_cross_entropy_with_logits(outputs, targets, weights, reduction="sum")
    return losses / weights.sum().clamp_min(1)


def distribution_loss(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits (B, K) against target distributions (B, K); ``weights`` (B, K) is constant in a row."""
    losses = -(targets * functional.log_softmax(outputs, dim=1)).sum(1) * weights[:, 0]
    return losses.sum() / weights[:, 0].sum().clamp_min(1)


def absolute_loss(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute error of outputs (B, K), smooth below 0.05, over the entries of weight 1."""
    losses = functional.smooth_l1_loss(outputs, targets, beta=0.05, reduction="none") * weights
    return losses.sum() / weights.sum().clamp_min(1)


LOSSES: dict[str, Loss] = {"binary": binary_loss, "distribution": distribution_loss, "absolute": absolute_loss}
"""Name of a target's loss -> the function."""


def _forward(x: Tensor, parameters: list[Tensor]) -> Tensor:
    if len(parameters) == 2:
        return functional.linear(x, *parameters)
    hidden = functional.linear(x, parameters[0], parameters[1]).relu_()
    return functional.linear(hidden, parameters[2], parameters[3])


def _initial(sizes: list[int], generator: torch.Generator, device: torch.device) -> list[Tensor]:
    """Weights and biases between layers of these sizes, uniform in +-1/sqrt(inputs), from the generator alone."""
    parameters: list[Tensor] = []
    for inputs, outputs in pairwise(sizes):
        bound = inputs**-0.5
        parameters.append((torch.rand(outputs, inputs, generator=generator) * 2 - 1) * bound)
        parameters.append(torch.zeros(outputs))
    return [p.to(device).requires_grad_() for p in parameters]


def train_probe(
    x: Tensor,
    targets: Tensor,
    weights: Tensor,
    loss: Loss,
    *,
    hidden: int | None,
    seed: int,
    settings: ProbeSettings | None = None,
) -> Callable[[Tensor], Tensor]:
    """Train one probe.

    Args:
        x: float32 (N, D), standardised encodings.
        targets: float32 (N, K).
        weights: float32 (N, K), 1 where the target counts, 0 where it is unknown.
        loss: what is minimised.
        hidden: units of the hidden layer, or None for a linear probe.
        seed: of the initial weights, the validation slice and the order of the batches.
        settings: batch size, epochs and so on; unless given, ``LINEAR`` or the defaults.

    Returns:
        A function from standardised encodings (M, D) to outputs (M, K), of the epoch with the lowest validation loss.
    """
    settings = settings or (LINEAR if hidden is None else ProbeSettings())
    generator = torch.Generator().manual_seed(seed)
    count, width = x.shape
    sizes = [width, targets.shape[1]] if hidden is None else [width, hidden, targets.shape[1]]
    parameters = _initial(sizes, generator, x.device)
    order = torch.randperm(count, generator=generator).to(x.device)
    held_out = max(1, int(count * VALIDATION_FRACTION))
    # A copy in shuffled order: contiguous slices are cheaper than gathering every batch from all over x.
    validation, order = order[:held_out], order[held_out:]
    x_validation, t_validation, w_validation = x[validation], targets[validation], weights[validation]

    steps = max(1, -(-len(order) // settings.batch_size))
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * settings.max_epochs)
    best_loss, best, waited = float("inf"), [p.detach().clone() for p in parameters], 0
    for _ in range(settings.max_epochs):
        shuffled = order[torch.randperm(len(order), generator=generator).to(x.device)]
        for batch in torch.split(shuffled, settings.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss(_forward(x[batch], parameters), targets[batch], weights[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.inference_mode():
            current = float(loss(_forward(x_validation, parameters), t_validation, w_validation))
        if current < best_loss:
            best_loss, best, waited = current, [p.detach().clone() for p in parameters], 0
        else:
            waited += 1
            if waited >= settings.patience:
                break

    def predict(rows: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([_forward(part, best) for part in torch.split(rows, 8192)])

    return predict


def as_rows(encodings: npt.NDArray[np.generic]) -> Floats:
    """Encodings (N, ...) -> float32 (N, D)."""
    return np.ascontiguousarray(encodings.reshape(len(encodings), -1), dtype=np.float32)
