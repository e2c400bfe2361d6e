"""Encoders: an artifact made ready to turn frames into encodings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.backends import (
    Backend,
    OpenVinoBackend,
    TorchBackend,
    default_threads,
    resolve_backend,
)
from heist_encoders.zoo.lookup import find_artifact
from heist_encoders.zoo.options import EncoderOptions

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder


BATCH: Final = 256
"""Frames in one call of the network: more are no faster, and an autoencoder takes up to 1 MB for each."""


def _device(device: str) -> str:
    if device == "cpu":  # no need of torch, which OpenVINO does without
        return device
    from heist_encoders.autoencoders.devices import resolve_device

    return str(resolve_device(device))


class Encoder:
    """Turns frames into encodings. Made by ``load_encoder``.

    Pickled, it is only a reference to its artifact (name, uri, sha256) and its options as they were given: what was
    left to the machine is settled again where it is unpickled and loaded. Threads may share it.

    Attributes:
        artifact: where it comes from.
        name: the artifact's name.
        shape: shape of one encoding.
        device: ``cpu``, ``cuda``, ...
        backend: ``torch`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``, of the arithmetic; encodings are float32 always.
        threads: CPU threads of the OpenVINO backend.

    Examples:
        >>> encoder = heist_encoders.load_encoder("vae_paper", distribution_mode="memory")
        >>> frames = heist_encoders.open_dataset("data/heist").frames("test")[:4]
        >>> encoder.encode(frames).shape == (4, *encoder.shape)
        True
        >>> encoder.reconstruct(frames).shape
        (4, 64, 64, 3)
    """

    def __init__(self, artifact: Artifact, options: EncoderOptions | None = None) -> None:
        options = self._given = options or EncoderOptions()
        self.artifact = artifact
        self.name = artifact.name
        self.shape = artifact.encoding_shape
        self.precision = options.precision
        # OpenVINO is for CPUs: asking for it settles an open question of the device.
        on_cpu = options.device == "auto" and options.backend == "openvino"
        self.device = "cpu" if on_cpu else _device(options.device)
        self.backend = resolve_backend(options.backend, self.device)
        self.threads = options.threads or default_threads()
        self._encode: Backend
        if self.backend == "openvino":
            self._encode = OpenVinoBackend(artifact, self.precision, self.threads)
        else:
            self._encode = TorchBackend(self._model, self.device, self.precision)

    @property
    def options(self) -> EncoderOptions:
        """Its options, with nothing left open."""
        return EncoderOptions(device=self.device, backend=self.backend, precision=self.precision, threads=self.threads)

    @functools.cached_property
    def _model(self) -> BaseAutoencoder:
        return self.artifact.load_model(self.device)

    @property
    def card(self) -> str:
        """The artifact's card, Markdown."""
        return self.artifact.card

    @property
    def mean(self) -> NDArray[np.float32]:
        """float32 of ``shape``: mean encoding of the train split."""
        return self.artifact.mean

    @property
    def std(self) -> NDArray[np.float32]:
        """float32 of ``shape``: standard deviation of the encodings of the train split, never 0."""
        return self.artifact.std

    @property
    def reference(self) -> dict[str, str]:
        """Name, uri and sha256: what ``load_encoder`` needs to find the same weights in another process."""
        return self.artifact.reference

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode frames.

        Args:
            frames: uint8 (N, 64, 64, 3), RGB as procgen draws them.

        Returns:
            float32 (N, *shape), a fresh array. Besides it and the frames, the memory needed does not grow with N.

        Raises:
            ConfigError: for another shape or dtype.
        """
        _check_frames(frames)
        if len(frames) == 0:
            return np.zeros((0, *self.shape), dtype=np.float32)
        return _in_batches(self._encode, frames)

    def normalize(self, encodings: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (..., *shape) -> the same with mean 0 and standard deviation 1 over the train split."""
        normalized: NDArray[np.float32] = (encodings - self.mean) / self.std
        return normalized

    def reconstruct(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the whole autoencoder makes of frames: uint8 (N, 64, 64, 3) -> the same."""
        import torch

        from heist_encoders.autoencoders.frames import to_input

        _check_frames(frames)
        if len(frames) == 0:
            return frames.copy()

        def draw(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
            with torch.inference_mode():
                output = self._model(to_input(part, self.device)).reconstruction
                pixels = output.float().clamp(0, 1).mul(255).round().to(torch.uint8)
                drawn: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            return drawn

        return _in_batches(draw, frames)

    def __getstate__(self) -> JsonObject:
        return {"reference": self.reference, **self._given.to_dict()}

    def __setstate__(self, state: JsonObject) -> None:
        options = dict(state)
        artifact = find_artifact(options.pop("reference"))
        self.__init__(artifact, EncoderOptions.from_dict(options))  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, shape={self.shape}, backend={self.backend!r}, device={self.device!r})"


_Kind = TypeVar("_Kind", bound=np.generic)


def _in_batches(function: Callable[[NDArray[np.uint8]], NDArray[_Kind]], frames: NDArray[np.uint8]) -> NDArray[_Kind]:
    """The results of ``function`` on parts of the frames, (N, ...): a network's activations take far more memory."""
    if len(frames) <= BATCH:
        return function(frames)
    first = function(frames[:BATCH])
    results = np.empty((len(frames), *first.shape[1:]), first.dtype)
    results[:BATCH] = first
    for start in range(BATCH, len(frames), BATCH):
        results[start : start + BATCH] = function(frames[start : start + BATCH])
    return results


def _check_frames(frames: NDArray[np.uint8]) -> None:
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.shape[1:] != FRAME_SHAPE:
        given = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
        raise ConfigError(f"frames are {given}, expected a uint8 array of shape (N, 64, 64, 3)")


def load_encoder(
    name_or_path_or_uri: str | Path | Artifact | Mapping[str, str],
    *,
    distribution_mode: str | None = None,
    **options: object,
) -> Encoder:
    """Load an encoder.

    Args:
        name_or_path_or_uri: an architecture's name or id, a name of the user's, an artifact's folder or URI, an
            artifact, or an ``Encoder.reference``.
        distribution_mode: the mode it must be trained on; None: ``memory`` for an architecture, any other as it is.
        options: ``device``, ``backend``, ``precision``, ``threads``: see ``EncoderOptions``.

    Raises:
        UnknownNameError, ArtifactError: see ``find_artifact``.
        ConfigError, MissingDependencyError, ResourceError: if an option is unknown, or cannot be met on this machine.

    Examples:
        >>> encoder = heist_encoders.load_encoder("grid", distribution_mode="easy", backend="torch", device="cpu")
        >>> encoder
        Encoder('grid', shape=(14, 9, 9), backend='torch', device='cpu')
    """
    checked = EncoderOptions.resolve(**options)
    return Encoder(find_artifact(name_or_path_or_uri, distribution_mode), checked)
