"""From frames to the flat encodings that RLlib's models take, by a reference small enough for configurations."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import heist_encoders.rllib.sharing  # noqa: F401 - finds encoders on nodes without the driver's disk
from heist_encoders.zoo.lookup import find_artifact
from heist_encoders.zoo.options import EncoderOptions

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact
    from heist_encoders.zoo.encoder import Encoder


class FrameEncoder:
    """Frames in, flat encodings out: one encoder with its normalisation, loaded at the first call.

    Pickled, it is the encoder's name, place and hash and these options: no weights, no CUDA device. Where it is
    unpickled, an encoder with other weights is refused.

    Args:
        encoder: name, path or URI of an artifact, an artifact, or its reference.
        distribution_mode: the mode of the frames; an encoder of another mode is refused, None takes any.
        normalize: subtract the mean and divide by the standard deviation stored in the artifact.
        options: how it computes; None: the defaults on the CPU.

    Raises:
        UnknownNameError, ArtifactError: if there is no such encoder (for this mode).
    """

    def __init__(
        self,
        encoder: str | Path | Artifact | Mapping[str, str],
        *,
        distribution_mode: str | None = None,
        normalize: bool = True,
        options: EncoderOptions | None = None,
    ) -> None:
        self.reference: dict[str, str] = find_artifact(encoder, distribution_mode).reference
        self.normalize = normalize
        self.options = options or EncoderOptions(device="cpu")

    @functools.cached_property
    def artifact(self) -> Artifact:
        """The artifact, on this machine."""
        return find_artifact(self.reference)

    @functools.cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder."""
        from heist_encoders.zoo.encoder import Encoder

        return Encoder(self.artifact, self.options)

    @property
    def size(self) -> int:
        """Numbers in one encoding."""
        return int(np.prod(self.artifact.encoding_shape))

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, 64, 64, 3) -> float32 (N, size)."""
        encodings = self.encoder.encode(frames)
        if self.normalize:
            encodings = self.encoder.normalize(encodings)
        return encodings.reshape(len(frames), self.size)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("artifact", "encoder")}
