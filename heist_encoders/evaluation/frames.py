"""The part of a dataset that evaluation reads, and the names of its arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from heist_encoders.semantic import SemanticMaps

if TYPE_CHECKING:
    from heist_encoders.data.manifest import DatasetSpec

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Frames = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class LabelledFrames(Protocol):
    """What evaluation reads of a ``Dataset``. ``split`` is ``train`` or ``test``."""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the content."""

    @property
    def spec(self) -> DatasetSpec | Any:
        """With ``game`` and ``distribution_mode``."""

    def frames(self, split: str) -> Frames:
        """uint8 (N, 64, 64, 3), RGB."""

    def labels(self, split: str) -> pd.DataFrame:
        """N rows, in the order of the frames."""

    def semantic_maps(self, split: str) -> SemanticMaps:
        """The semantic maps of the frames."""
