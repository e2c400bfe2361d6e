"""Frames in, encodings or reconstructions out, in batches, whatever kind of encoder it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.errors import DatasetError
from heist_encoders.evaluation.frames import Floats, Frames, Indices, LabelledFrames
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder

Encodable: TypeAlias = "BaseAutoencoder | Callable[[Frames], Any] | Any"
"""An autoencoder, an object with ``encode(uint8 frames)``, such a function itself, or a ``TrueState``."""


def model_device(model: torch.nn.Module) -> torch.device:
    """The device of the model's first parameter (the CPU if it has none)."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def encode_function(encoder: Encodable) -> Callable[[Frames], Floats]:
    """A function from uint8 (N, 64, 64, 3) to float32 (N, ...); a model is put in eval mode and left on its device."""
    if isinstance(encoder, torch.nn.Module):
        from heist_encoders.autoencoders.frames import to_input

        device = model_device(encoder)
        encoder.eval()

        def encode(frames: Frames) -> Floats:
            with torch.inference_mode():
                return encoder.encode(to_input(frames, device)).float().cpu().numpy()  # type: ignore[no-any-return, operator]

        return encode
    function = getattr(encoder, "encode", encoder)

    def call(frames: Frames) -> Floats:
        return np.asarray(function(frames), dtype=np.float32)

    return call


def encode_frames(encoder: Encodable, frames: Frames, rows: Indices | None = None, *, batch_size: int = 64) -> Floats:
    """Encode frames, or some rows of them.

    Args:
        encoder: see ``Encodable``.
        frames: uint8 (N, 64, 64, 3); may be a memory map, only the rows asked for are read.
        rows: int64 (M,), ascending; all of them if None.

    Returns:
        float32 (M, ...).
    """
    encode = encode_function(encoder)
    rows = np.arange(len(frames), dtype=np.int64) if rows is None else rows
    parts = [encode(np.ascontiguousarray(frames[rows[i : i + batch_size]])) for i in range(0, len(rows), batch_size)]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def encode_split(
    encoder: Encodable, dataset: LabelledFrames, split: str, rows: Indices, *, batch_size: int = 64
) -> Floats:
    """Encodings float32 (M, ...) of some rows of a split, int64 (M,), ascending: see ``Encodable``."""
    if isinstance(encoder, TrueState):
        state = encoder(dataset, split, rows)
        if state is None:
            raise DatasetError(
                f"{dataset.spec.game}, {dataset.spec.distribution_mode} mode: frames show no whole state"
            )
        return state
    return encode_frames(encoder, dataset.frames(split), rows, batch_size=batch_size)


class TrueState:
    """A lossless encoding, read from the labels instead of the frames (``Task.true_state``): what a probe can reach.

    Args:
        places: also where in its cell a thing is. Semantic maps depend on it, moves don't.
    """

    def __init__(self, *, places: bool = True) -> None:
        self._places = places

    def __call__(self, dataset: LabelledFrames, split: str, rows: Indices) -> Floats | None:
        """float32 (M, C, cells, cells), or None where the task has none."""
        spec = dataset.spec
        labels = dataset.labels(split).iloc[rows]
        return task_of(spec.game).true_state(labels, spec.distribution_mode, places=self._places)


def reconstruct_frames(model: BaseAutoencoder, frames: Frames, *, batch_size: int = 256) -> Frames:
    """Reconstructions as pictures: uint8 (N, 64, 64, 3) -> uint8 (N, 64, 64, 3), deterministic (eval mode)."""
    from heist_encoders.autoencoders.frames import to_input

    device = model_device(model)
    model.eval()
    parts = [np.zeros((0, *FRAME_SHAPE), np.uint8)]
    with torch.inference_mode():
        for start in range(0, len(frames), batch_size):
            batch = to_input(np.ascontiguousarray(frames[start : start + batch_size]), device)
            parts.append(to_pictures(model(batch).reconstruction))
    return np.concatenate(parts)


def to_pictures(images: torch.Tensor) -> Frames:
    """float (B, 3, H, W) in [0, 1] (clipped) -> uint8 (B, H, W, 3)."""
    scaled = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())
