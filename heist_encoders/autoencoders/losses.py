"""The terms that losses are made of: plain functions of tensors, no configuration."""

from __future__ import annotations

import torch
from torch import Tensor

from heist_encoders.semantic import NUM_BACKGROUND

COLOUR_LEVELS = 8
"""Levels that a colour channel is quantised to: 512 colours."""
_RAREST = 2e-4
"""Rarer colours weigh no more than one of this frequency: noise must not outweigh the scene."""


def class_weights(maps: Tensor, num_classes: int, share: float) -> Tensor:
    """How much each pixel counts when the objects of a semantic map have a share of the loss.

    ``share`` is split evenly over the object classes (all but floor and wall) that are in the batch, and a class's part
    evenly over its pixels: a rare or small thing counts as much as a frequent or large one. The rest is split evenly
    over floor and wall in the same way. With no object in the batch floor and wall have all.

    Args:
        maps: uint8 (B, 64, 64), class of each pixel; below ``num_classes``.
        num_classes: number of classes.
        share: in [0, 1].

    Returns:
        float32 (B, 64, 64) that sums to 1: ``(weights * squared_error.mean(channels)).sum()`` is the loss.
    """
    index = maps.to(torch.int64)
    pixels = torch.bincount(index.flatten(), minlength=num_classes).to(torch.float32)  # (num_classes,)
    present = pixels > 0
    objects = torch.arange(num_classes, device=maps.device) >= NUM_BACKGROUND
    parts = torch.zeros_like(pixels)
    for group, part in ((objects, share), (~objects, 1.0 - share)):
        there = (present & group).sum()
        parts = torch.where(present & group, part / there.clamp(min=1), parts)
    parts = parts / parts.sum().clamp(min=1e-12)  # where a group is empty, the other has its share
    return (parts / pixels.clamp(min=1))[index]


def quantised_colours(frames: Tensor) -> Tensor:
    """Frames uint8 (B, 64, 64, 3) -> int64 (B, 64, 64) in 0..511: the colour with 3 bits a channel."""
    red, green, blue = (frames >> 5).to(torch.int64).unbind(-1)
    return (red * COLOUR_LEVELS + green) * COLOUR_LEVELS + blue


def rarity_table(frames: Tensor) -> Tensor:
    """Weights of the 512 quantised colours, from how rare each is: ``max(frequency, 2e-4) ** -0.5``.

    Args:
        frames: uint8 (N, 64, 64, 3), a sample of the training frames.

    Returns:
        float32 (512,).
    """
    counts = torch.bincount(quantised_colours(frames).flatten(), minlength=COLOUR_LEVELS**3).to(torch.float32)
    return (counts / counts.sum()).clamp(min=_RAREST).rsqrt()


def rarity_weights(frames: Tensor, table: Tensor) -> Tensor:
    """How much each pixel counts when rare colours count more. Needs no labels, so it works for every game.

    Args:
        frames: uint8 (B, 64, 64, 3).
        table: float32 (512,), of ``rarity_table``.

    Returns:
        float32 (B, 64, 64) that sums to 1.
    """
    weights = table[quantised_colours(frames)]
    return weights / weights.sum()


def pixel_loss(frames: Tensor, reconstruction: Tensor, weights: Tensor | None, power: int) -> Tensor:
    """Mean of |frame - reconstruction| ** power, weighted by pixel.

    Args:
        frames: float32 (B, 3, 64, 64) in [0, 1].
        reconstruction: the same shape.
        weights: float32 (B, 64, 64) that sums to 1, or None for the plain mean.
        power: 2 (mean squared error) or 4 (the original's).
    """
    squared = (reconstruction.float() - frames).square()
    error = squared if power == 2 else squared.square()
    if weights is None:
        return error.mean()
    batch, channels, _, _ = error.shape
    # In memory (B, 64, 64, 3): one product of (B, 1, 64 * 64) @ (B, 64 * 64, 3) instead of two passes.
    by_pixel = error.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    with torch.autocast(frames.device.type, enabled=False):  # a sum over 500,000 pixels needs float32
        return torch.bmm(weights.reshape(batch, 1, -1), by_pixel).sum() / channels


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension in nats (Kingma and Welling 2014, appendix B).

    Args:
        mean: float (B, D).
        log_variance: float (B, D).

    Returns:
        float32 (D,), the mean over the batch.
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean(0)
