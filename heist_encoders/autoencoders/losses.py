"""The terms that losses are made of: plain functions of tensors, no configuration."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from heist_encoders.constants import FRAME_SIZE

MAP_CELLS = 8
"""Cells of an element map along each side of the frame."""
_POSITIVE = 8.0
"""How often a cell that shows the element counts in ``element_map_loss``: such cells are under 1% of all."""


class LossTerms(NamedTuple):
    """What a batch costs. All scalars, float32; all but ``total`` are for the logs and carry no gradient."""

    total: Tensor
    pixel: Tensor
    """The pixel term with its power and element weights."""
    mse: Tensor
    """The plain mean squared error over all pixels and channels, values in [0, 1]."""
    kl: Tensor
    """KL divergence from the prior in nats, summed over dimensions, mean over the batch. 0 without a VAE."""
    perceptual: Tensor
    element_map: Tensor


def element_masks(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns that the elements' boxes cover.

    Args:
        boxes: integers (B, 7, 4), x0 y0 x1 y1, half open; all 0 where the element is absent.

    Returns:
        Two float32 tensors (B, 7, 64): 1 where row y (column x) lies in the box. Their outer product is the mask.
    """
    places = torch.arange(FRAME_SIZE, device=boxes.device, dtype=torch.int32)  # (64,)
    x0, y0, x1, y1 = boxes.to(torch.int32).unsqueeze(-1).unbind(dim=2)  # each (B, 7, 1)
    rows = ((places >= y0) & (places < y1)).to(torch.float32)
    columns = ((places >= x0) & (places < x1)).to(torch.float32)
    return rows, columns


def element_weights(boxes: Tensor, alpha: float) -> Tensor:
    """How much each pixel counts when the share ``alpha`` of a loss goes to the elements.

    The share is split evenly over the elements present in the batch, and an element's part evenly over its own
    pixels in the batch: a rare or small element counts as much as a frequent or large one. 1 - alpha goes to the
    pixels outside every box. With no element in the batch every pixel counts the same.

    Args:
        boxes: integers (B, 7, 4), see ``element_masks``.
        alpha: the elements' share, in [0, 1].

    Returns:
        float32 (B, 64, 64) that sums to 1: ``(weights * squared_error.mean(channels)).sum()`` is the loss.
    """
    rows, columns = element_masks(boxes)
    pixels = (rows.sum(2) * columns.sum(2)).sum(0)  # (7,) painted pixels of each element in the batch
    present = pixels > 0
    share = torch.where(present, alpha / (present.sum().clamp(min=1) * pixels.clamp(min=1)), 0.0)  # (7,) a pixel
    with torch.autocast(boxes.device.type, enabled=False):
        # Sum over elements of row mask x column mask: (B, 64, 7) @ (B, 7, 64) -> (B, 64, 64).
        painted = torch.bmm(rows.transpose(1, 2) * share, columns)
        outside = torch.bmm(rows.transpose(1, 2), columns) == 0
    left = 1.0 - torch.where(present.any(), alpha, 0.0)
    return torch.where(outside, left / outside.sum().clamp(min=1), painted)


def element_maps(boxes: Tensor) -> Tensor:
    """Which cells of a coarse grid an element's box touches.

    Args:
        boxes: integers (B, 7, 4), see ``element_masks``.

    Returns:
        float32 (B, 7, 8, 8), 0 or 1.
    """
    rows, columns = (functional.max_pool1d(mask, FRAME_SIZE // MAP_CELLS) for mask in element_masks(boxes))
    return rows.unsqueeze(3) * columns.unsqueeze(2)


def element_map_loss(logits: Tensor, boxes: Tensor) -> Tensor:
    """Mean binary cross-entropy of element maps, in nats; cells that show the element count 8 times.

    Args:
        logits: float (B, 7 * 8 * 8), of the cells of ``element_maps``.
        boxes: integers (B, 7, 4), see ``element_masks``.
    """
    targets = element_maps(boxes).flatten(1)  # (B, 7 * 8 * 8)
    weight = torch.tensor(_POSITIVE, device=logits.device)
    return functional.binary_cross_entropy_with_logits(logits.float(), targets, pos_weight=weight)


def pixel_loss(frames: Tensor, reconstruction: Tensor, weights: Tensor | None, power: int) -> tuple[Tensor, Tensor]:
    """Mean of |frame - reconstruction| ** power, weighted by pixel.

    Args:
        frames: float32 (B, 3, 64, 64) in [0, 1].
        reconstruction: the same shape.
        weights: float32 (B, 64, 64) that sums to 1, or None for the plain mean.
        power: 2 (mean squared error) or 4 (the original's).

    Returns:
        The loss, and the plain mean squared error without a gradient.
    """
    squared = (reconstruction.float() - frames).square()
    mse = squared.detach().mean()
    error = squared if power == 2 else squared.square()
    if weights is None:
        return error.mean(), mse
    batch, channels, _, _ = error.shape
    # In memory (B, 64, 64, 3): one product of (B, 1, 64 * 64) @ (B, 64 * 64, 3) instead of two passes.
    by_pixel = error.permute(0, 2, 3, 1).reshape(batch, -1, channels)
    with torch.autocast(frames.device.type, enabled=False):  # a sum over 500,000 pixels needs float32
        return torch.bmm(weights.reshape(batch, 1, -1), by_pixel).sum() / channels, mse


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
