"""A dataset's frames as a map-style torch dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


class FramesDataset(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Frames of one split. Pickled, it is a reference to the dataset, whatever was read of it.

    Args:
        dataset: an open dataset.
        split: ``train`` or ``test``.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._dataset, self._split = dataset, split

    @property
    def _frames(self) -> NDArray[np.uint8]:
        return self._dataset.frames(self._split)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.array(self._frames[index])), index

    def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, int]]:
        """A batch in one read of the map; torch's DataLoader calls it."""
        batch = torch.from_numpy(np.array(self._frames[np.asarray(indices)]))
        return list(zip(batch, indices, strict=True))
