"""How well frames are reconstructed: squared errors, PSNR, SSIM, active units."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from heist_encoders.evaluation.encoding import model_device
from heist_encoders.evaluation.targets import Frames
from heist_encoders.tasks.heist.elements import ELEMENTS

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder

ACTIVE_VARIANCE = 0.01
"""A unit is active if its encoding varies by more than this over the data (Burda et al. 2016, section 5.1)."""


def box_masks(boxes: Tensor, height: int = 64, width: int = 64) -> Tensor:
    """Boxes int (N, K, 4) as x0 y0 x1 y1, half open -> bool (N, K, height, width), True inside (nowhere if empty)."""
    x0, y0, x1, y1 = (boxes[..., i, None].to(torch.int64) for i in range(4))
    xs, ys = torch.arange(width, device=boxes.device), torch.arange(height, device=boxes.device)
    columns = (xs >= x0) & (xs < x1)  # (N, K, width)
    rows = (ys >= y0) & (ys < y1)  # (N, K, height)
    return rows[..., :, None] & columns[..., None, :]


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image: 10 log10(1 / MSE) dB, at most 100. (B, C, H, W) in [0, 1] -> (B,)."""
    errors = (a - b).square().flatten(1).mean(1)
    return -10 * torch.log10(errors.clamp_min(1e-10))


@functools.lru_cache(maxsize=4)
def _gaussian(size: int, sigma: float) -> Tensor:
    distance = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    return weights / weights.sum()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of each pair of images, 1 if equal.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 13(4), 2004, equation 13: an 11x11 circular Gaussian window of deviation 1.5,
    K1 = 0.01, K2 = 0.03, dynamic range 1, only windows that lie inside the image; mean over windows and channels.

    Args:
        a, b: float (B, C, H, W) in [0, 1], H and W at least 11.

    Returns:
        float (B,), between -1 and 1.
    """
    channels = a.shape[1]
    weights = _gaussian(11, 1.5).to(a.device, a.dtype)
    across = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)

    def blur(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, across, groups=channels), down, groups=channels)

    mean_a, mean_b = blur(a), blur(b)
    variance_a = blur(a * a) - mean_a**2
    variance_b = blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    index = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return index.flatten(1).mean(1)


def active_units(encodings: npt.NDArray[np.float32], threshold: float = ACTIVE_VARIANCE) -> int:
    """How many numbers of the encodings (N, ...) have a variance over the N frames above the threshold.

    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016. Meant for VAEs, whose means have a prior of
    deviation 1; for the other families it only tells dead numbers from live ones.
    """
    return int((encodings.reshape(len(encodings), -1).var(0) > threshold).sum())


def reconstruction_metrics(
    model: BaseAutoencoder, frames: Frames, boxes: npt.NDArray[np.int16] | None = None, *, batch_size: int = 128
) -> dict[str, float]:
    """Compare reconstructions with the originals; pixels are in [0, 1], reconstructions clipped to it.

    Args:
        model: put in eval mode, left on its device.
        frames: uint8 (N, 64, 64, 3).
        boxes: int16 (N, 7, 4), x0 y0 x1 y1 of the elements; None leaves out what needs them.

    Returns:
        ``mse`` (all pixels), ``psnr`` (dB, mean over frames), ``ssim`` (mean over frames), ``active_units`` and
        ``encoding_size``; with boxes also ``element_mse`` (mean over the pixels of all elements),
        ``background_mse`` (over the other pixels) and ``mse_<element>`` for each element (NaN if never in view).
    """
    from heist_encoders.autoencoders.frames import to_input

    device = model_device(model)
    model.eval()
    sums = {"mse": 0.0, "psnr": 0.0, "ssim": 0.0}
    errors = torch.zeros(len(ELEMENTS) + 2, dtype=torch.float64)  # the elements, any element, background
    pixels = torch.zeros(len(ELEMENTS) + 2, dtype=torch.float64)
    encodings = []
    with torch.inference_mode():
        for start in range(0, len(frames), batch_size):
            batch = to_input(np.ascontiguousarray(frames[start : start + batch_size]), device)
            output = model(batch)
            encodings.append(output.encoding.float().flatten(1).cpu().numpy())
            shown = output.reconstruction.float().clamp(0, 1)
            squared = (shown - batch).square().mean(1)  # (B, 64, 64)
            sums["mse"] += float(squared.mean((1, 2)).sum())
            sums["psnr"] += float(psnr(shown, batch).sum())
            sums["ssim"] += float(ssim(shown, batch).sum())
            if boxes is not None:
                inside = box_masks(torch.from_numpy(np.asarray(boxes[start : start + batch_size])).to(device))
                anywhere = inside.any(1, keepdim=True)
                masks = torch.cat([inside, anywhere, ~anywhere], 1).to(squared.dtype)  # (B, 9, 64, 64)
                errors += (masks * squared[:, None]).sum((0, 2, 3)).double().cpu()
                pixels += masks.sum((0, 2, 3)).double().cpu()
    count = max(1, len(frames))
    result = {name: total / count for name, total in sums.items()}
    if boxes is not None:
        means = (errors / pixels).tolist()  # 0 / 0 is NaN: never in view
        result.update({f"mse_{element}": mean for element, mean in zip(ELEMENTS, means, strict=False)})
        result.update(element_mse=means[-2], background_mse=means[-1])
    rows = np.concatenate(encodings) if encodings else np.zeros((0, 0), np.float32)
    result["active_units"] = float(active_units(rows)) if len(rows) else 0.0
    result["encoding_size"] = float(rows.shape[1])
    return result
