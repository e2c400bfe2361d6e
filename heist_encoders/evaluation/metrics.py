"""How well frames are reconstructed: squared errors, PSNR, SSIM, active units."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from heist_encoders.evaluation.encoding import model_device
from heist_encoders.evaluation.frames import Frames
from heist_encoders.semantic import NUM_BACKGROUND, SemanticMaps
from heist_encoders.training.active_units import ActiveUnits

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder


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
    Transactions on Image Processing 13(4), 2004, equation 13: an 11x11 circular Gaussian window with a standard
    deviation of 1.5, K1 = 0.01, K2 = 0.03, dynamic range 1, only windows that lie inside the image; mean over windows
    and channels.

    Args:
        a: float (B, C, H, W) in [0, 1], H and W at least 11.
        b: the same shape and range.

    Returns:
        float (B,), between -1 and 1.

    Examples:
        >>> import torch
        >>> from heist_encoders.evaluation import ssim
        >>> image = torch.rand(2, 3, 64, 64)
        >>> ssim(image, image)
        tensor([1., 1.])
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


def reconstruction_metrics(
    model: BaseAutoencoder, frames: Frames, maps: SemanticMaps | None = None, *, batch_size: int = 128
) -> dict[str, float]:
    """Compare reconstructions with the originals; pixels are in [0, 1], reconstructions clipped to it.

    Args:
        model: put in eval mode, left on its device.
        frames: uint8 (N, 64, 64, 3).
        maps: their semantic maps; None leaves out what needs them.

    Returns:
        ``mse`` (all pixels), ``psnr`` (dB, mean over frames), ``ssim`` (mean over frames), ``active_units`` and
        ``latent_dimension``; with maps also ``mse_<class>`` for each class (NaN if never in view) and ``object_mse``,
        the mean over the pixels of all classes but floor and wall.

    Examples:
        >>> from heist_encoders.autoencoders import create_autoencoder
        >>> from heist_encoders.evaluation import reconstruction_metrics
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> sorted(reconstruction_metrics(create_autoencoder("conv_maxpool"), data.frames("test")))
        ['active_units', 'latent_dimension', 'mse', 'psnr', 'ssim']
    """
    from heist_encoders.autoencoders.frames import to_input

    device = model_device(model)
    model.eval()
    sums = {"mse": 0.0, "psnr": 0.0, "ssim": 0.0}
    classes = () if maps is None else maps.classes
    errors, pixels = np.zeros(len(classes)), np.zeros(len(classes))
    units, latent_dimension = ActiveUnits(), 0
    with torch.inference_mode():
        for start in range(0, len(frames), batch_size):
            batch = to_input(np.ascontiguousarray(frames[start : start + batch_size]), device)
            output = model(batch)
            units.add(output)
            latent_dimension = output.encoding[0].numel()
            shown = output.reconstruction.float().clamp(0, 1)
            squared = (shown - batch).square().mean(1)  # (B, 64, 64)
            sums["mse"] += float(squared.mean((1, 2)).sum())
            sums["psnr"] += float(psnr(shown, batch).sum())
            sums["ssim"] += float(ssim(shown, batch).sum())
            if maps is not None:
                index = maps.pick(slice(start, start + len(batch))).ravel()
                errors += np.bincount(index, squared.cpu().numpy().ravel().astype(np.float64), len(classes))
                pixels += np.bincount(index, minlength=len(classes))
    count = max(1, len(frames))
    result = {name: total / count for name, total in sums.items()}
    if maps is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            result |= {f"mse_{name}": float(v) for name, v in zip(classes, errors / pixels, strict=True)}
            objects = errors[NUM_BACKGROUND:].sum() / pixels[NUM_BACKGROUND:].sum()
        result["object_mse"] = float(objects)
    result["active_units"] = float(units.count())
    result["latent_dimension"] = float(latent_dimension)
    return result
