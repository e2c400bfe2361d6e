"""The one place where uint8 frames become the floats that a network reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.errors import ConfigError


def to_input(
    frames: npt.NDArray[np.uint8] | Tensor,
    device: str | torch.device = "cpu",
    channels_last: bool = True,
) -> Tensor:
    """Turn frames as procgen draws them into a network's input.

    Args:
        frames: uint8 (B, 64, 64, 3) RGB, array or tensor. It is not changed.
        device: where the result lies. Bytes are moved before they are widened.
        channels_last: keep the NHWC order in memory (fast for convolutions); the shape is NCHW either way.

    Returns:
        float32 (B, 3, 64, 64) in [0, 1], a copy.

    Raises:
        ConfigError: if the frames have another shape or dtype.

    Examples:
        >>> from heist_encoders.autoencoders import to_input
        >>> to_input(np.full((2, 64, 64, 3), 255, np.uint8)).max()
        tensor(1.)
    """
    if isinstance(frames, np.ndarray):
        if frames.dtype != np.uint8:
            raise ConfigError(f"frames have dtype {frames.dtype}, expected uint8 in 0..255")
        if not frames.flags.writeable or not frames.flags.c_contiguous:
            frames = frames.copy(order="C")
        frames = torch.from_numpy(frames)
    if frames.dtype != torch.uint8:
        raise ConfigError(f"frames have dtype {frames.dtype}, expected torch.uint8 in 0..255")
    if frames.ndim != 4 or tuple(frames.shape[1:]) != FRAME_SHAPE:
        raise ConfigError(f"frames have shape {tuple(frames.shape)}, expected (N, 64, 64, 3)")
    # (B, 64, 64, 3) -> (B, 3, 64, 64) without moving a byte: that is channels_last.
    moved = frames.to(device, non_blocking=True).permute(0, 3, 1, 2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return moved.to(torch.float32, memory_format=layout).mul_(1.0 / 255.0)
