"""A dataset's frames as a map-style torch dataset."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


class FramesDataset(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Frames of one split.

    Args:
        frames: uint8 (N, 64, 64, 3), for example a memory map.
    """

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.array(self._frames[index])), index

    def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, int]]:
        """A batch in one read of the map; torch's DataLoader calls it."""
        batch = torch.from_numpy(np.array(self._frames[np.asarray(indices)]))
        return list(zip(batch, indices, strict=True))
