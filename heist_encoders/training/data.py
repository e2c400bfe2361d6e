"""Batches: which samples in which order, fetched ahead in the background."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heist_encoders.data.manifest import CHUNK_FRAMES
from heist_encoders.data.stream import FrameStream, boxes_of, cut
from heist_encoders.errors import DatasetError

if TYPE_CHECKING:
    from heist_encoders.data.drawing import ChunkProcesses
    from heist_encoders.data.sampler import Rows

_NO_BOXES = "element_weight needs the boxes of Heist's elements and this dataset has none; set loss.element_weight to 0"


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
                raise DatasetError(_NO_BOXES) from None
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


class Feed(Protocol):
    """Where the batches of a training come from: a pure function of the position in the sequence of all samples."""

    @property
    def epoch_samples(self) -> int:
        """Samples of an epoch where the configuration doesn't say."""
        ...

    @property
    def largest_batch(self) -> int | None:
        """Samples a batch has at most."""
        ...

    def batches(self, position: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """``steps`` batches that begin with sample ``position``."""
        ...

    def close(self) -> None:
        """End what runs in the background."""
        ...


class Shuffled:
    """Endless shuffled passes over the train split of a dataset.

    Args:
        split: the train split.
        seed: of the shuffling.
    """

    def __init__(self, split: Split, seed: int) -> None:
        self._split, self._order = split, Order(split.size, seed)
        self.epoch_samples = self.largest_batch = split.size

    def batches(self, position: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """See ``Feed``."""
        return self._split.batches(self._order.take(position, steps * batch_size).reshape(steps, batch_size))

    def close(self) -> None:
        """Nothing runs."""


class Streamed:
    """The frames of a ``FrameStream``, in its order, each once.

    Args:
        stream: what to draw.
        with_boxes: whether batches carry boxes.
    """

    largest_batch = None

    def __init__(self, stream: FrameStream, *, with_boxes: bool) -> None:
        self._stream, self._with_boxes = stream, with_boxes
        self.epoch_samples = stream.epoch_samples
        self._chunks: ChunkProcesses | None = None
        self._rows: Iterator[Rows] = iter(())
        self._next = (-1, 0)
        """Position and batch size that ``_rows`` goes on with."""

    def batches(self, position: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """See ``Feed``. Drawing goes on between two calls if the second begins where the first ended."""
        if self._next != (position, batch_size):
            self.close()
            self._chunks = self._stream.open(position)
            self._rows = cut(self._chunks, batch_size, skip=position % CHUNK_FRAMES)
        for _ in range(steps):
            rows = next(self._rows)
            position += batch_size
            self._next = (position, batch_size)
            boxes = torch.from_numpy(boxes_of(rows.labels)) if self._with_boxes else None
            yield Batch(torch.from_numpy(rows.frames), boxes)

    def close(self) -> None:
        """End the processes that draw."""
        if self._chunks is not None:
            self._chunks.close()
        self._chunks, self._next = None, (-1, 0)


def make_feed(dataset: FrameSource | FrameStream, *, seed: int, with_boxes: bool, device: torch.device) -> Feed:
    """What feeds a training on a dataset or a stream.

    Raises:
        DatasetError: if the train split is empty, or there are no boxes though the loss needs them.
    """
    if not isinstance(dataset, FrameStream):
        return Shuffled(Split(dataset, "train", with_boxes=with_boxes, device=device), seed)
    if with_boxes and dataset.spec.game != "heist":
        raise DatasetError(_NO_BOXES)
    return Streamed(dataset, with_boxes=with_boxes)
