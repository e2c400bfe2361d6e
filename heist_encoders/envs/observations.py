"""What an environment shows of its frames: the pixels, or encodings of which only the changed are computed anew."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from heist_encoders.arrays import Array
from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.envs.options import EnvOptions
from heist_encoders.zoo.encoder import Encoder


class Observer(ABC):
    """Turns the frames of N games into their observations.

    Attributes:
        space: the observation space of one game.
    """

    space: spaces.Box

    @abstractmethod
    def observe(self, frames: NDArray[np.uint8], changed: NDArray[np.bool_]) -> Array:
        """Observations of all games, a fresh array.

        Args:
            frames: uint8 (N, 64, 64, 3).
            changed: bool (N,); False where the frame is the one of the call before.
        """


class Pixels(Observer):
    """The frames themselves."""

    def __init__(self) -> None:
        self.space = spaces.Box(0, 255, FRAME_SHAPE, dtype=np.uint8)

    def observe(self, frames: NDArray[np.uint8], changed: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """uint8 (N, 64, 64, 3)."""
        return frames.copy()


class Encodings(Observer):
    """float32 (N, *shape) from an encoder, normalised if asked for; unchanged frames keep their encoding."""

    def __init__(self, encoder: Encoder, num: int, *, normalize: bool) -> None:
        self.space = spaces.Box(-np.inf, np.inf, encoder.shape, dtype=np.float32)
        self._encoder = encoder
        self._normalize = normalize
        self._encodings = np.zeros((num, *encoder.shape), dtype=np.float32)

    def observe(self, frames: NDArray[np.uint8], changed: NDArray[np.bool_]) -> NDArray[np.float32]:
        """float32 (N, *shape)."""
        if changed.all():
            self._encodings[:] = self._encode(frames)
        elif changed.any():
            self._encodings[changed] = self._encode(frames[changed])
        return self._encodings.copy()

    def _encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        encodings = self._encoder.encode(frames)
        return self._encoder.normalize(encodings) if self._normalize else encodings


def make_observer(options: EnvOptions, num: int) -> Observer:
    """The observer that the options ask for."""
    if options.encoder is None:
        return Pixels()
    return Encodings(options.encoder, num, normalize=options.normalize)
