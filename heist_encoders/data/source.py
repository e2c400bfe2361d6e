"""What training, artifacts and evaluation read of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.semantic import SemanticMaps

if TYPE_CHECKING:
    import pandas as pd


class FrameSource(Protocol):
    """A ``Dataset``, a ``FrameStream``, or frames of your own. ``split`` is ``train`` or ``test``."""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the content."""
        ...

    @property
    def spec(self) -> DatasetSpec:
        """With ``game``, ``distribution_mode`` and ``use_backgrounds``."""
        ...

    def frames(self, split: str) -> NDArray[np.uint8]:
        """uint8 (N, 64, 64, 3), RGB."""
        ...

    def labels(self, split: str) -> pd.DataFrame:
        """N rows, in the order of the frames; the columns are those of the task's ``label_columns``."""
        ...

    def semantic_maps(self, split: str) -> SemanticMaps:
        """The semantic maps of the frames. Raises DatasetError where the game has none."""
        ...
