"""Batches: which samples in which order, fetched ahead in the background."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heist_encoders.errors import DatasetError


class FrameSource(Protocol):
    """What training needs of a dataset."""

    def frames(self, split: str) -> npt.NDArray[np.uint8]:
        """uint8 (N, 64, 64, 3)."""
        ...

    def boxes(self, split: str) -> npt.NDArray[np.int16]:
        """int16 (N, 7, 4)."""
        ...


class Batch(NamedTuple):
    """Some samples, as they are stored."""

    frames: Tensor
    """uint8 (B, 64, 64, 3)."""
    boxes: Tensor | None
    """int16 (B, 7, 4), or None where the loss needs none."""


class Split:
    """One split of a dataset, ready to be picked from.

    On a GPU that has room for it, all of it is moved there once.

    Args:
        dataset: with ``frames(split)`` and, if ``with_boxes``, ``boxes(split)``.
        split: ``train`` or ``test``.
        with_boxes: whether batches carry boxes.
        device: where batches will be used.

    Raises:
        DatasetError: if the split is empty, or has no boxes though the loss needs them.
    """

    def __init__(self, dataset: FrameSource, split: str, *, with_boxes: bool, device: torch.device) -> None:
        self._frames: Any = dataset.frames(split)
        self._boxes: Any = None
        self.size = len(self._frames)
        if self.size == 0:
            raise DatasetError(f"the dataset's {split} split is empty; generate more frames or raise test_fraction")
        if with_boxes:
            try:
                self._boxes = dataset.boxes(split)
            except (KeyError, AttributeError, DatasetError):
                raise DatasetError(
                    "element_weight needs the boxes of Heist's elements and this dataset has none; "
                    "set loss.element_weight to 0"
                ) from None
        self._resident = device.type == "cuda" and self._frames.nbytes < torch.cuda.mem_get_info(device)[0] // 2
        if self._resident:
            self._frames = torch.from_numpy(np.ascontiguousarray(self._frames)).to(device)
            if self._boxes is not None:
                self._boxes = torch.from_numpy(np.ascontiguousarray(self._boxes)).to(device)

    def pick(self, indices: npt.NDArray[np.int64]) -> Batch:
        """The samples at these places, int64 (B,)."""
        if self._resident:
            places = torch.from_numpy(indices).to(self._frames.device)
            return Batch(self._frames[places], None if self._boxes is None else self._boxes[places])
        frames = torch.from_numpy(self._frames[indices])
        return Batch(frames, None if self._boxes is None else torch.from_numpy(self._boxes[indices]))

    def batches(self, indices: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """The batches of ``indices`` int64 (steps, B), each fetched while the one before is used."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
            coming = reader.submit(self.pick, indices[0])
            for following in indices[1:]:
                batch, coming = coming.result(), reader.submit(self.pick, following)
                yield batch
            yield coming.result()

    def spread(self, count: int) -> npt.NDArray[np.int64]:
        """At most ``count`` places, evenly spread over the split, int64."""
        count = min(count, self.size)
        return (np.arange(count, dtype=np.int64) * self.size) // count


class Order:
    """The endless sequence of shuffled passes over a split: a pure function of the seed, so a position says all.

    Args:
        size: samples in the split.
        seed: of the shuffling.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._number, self._pass = -1, np.empty(0, dtype=np.int64)

    def _permutation(self, number: int) -> npt.NDArray[np.int64]:
        if number != self._number:
            generator = np.random.default_rng([self._seed, number])
            self._number, self._pass = number, generator.permutation(self._size)
        return self._pass

    def take(self, position: int, count: int) -> npt.NDArray[np.int64]:
        """Samples ``position`` to ``position + count`` of the sequence, int64 (count,)."""
        parts = []
        while count > 0:
            number, start = divmod(position, self._size)
            part = self._permutation(number)[start : start + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts)
