"""Data loaders: which samples in which order, fetched ahead in the background."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from heist_encoders.autoencoders.losses import rarity_table
from heist_encoders.data.drawing import MAPS, ChunkProcesses
from heist_encoders.data.manifest import CHUNK_FRAMES
from heist_encoders.data.source import FrameSource as FrameSource
from heist_encoders.data.stream import FrameStream, cut
from heist_encoders.errors import DatasetError
from heist_encoders.training.config import LossConfig
from heist_encoders.training.objective import Batch, Context

if TYPE_CHECKING:
    from heist_encoders.data.sampler import Rows

_RARITY_FRAMES = 4_000
"""Training frames behind the frequencies of colours."""


def loss_context(config: LossConfig, dataset: FrameSource) -> Context:
    """What a loss must know of the data.

    Raises:
        DatasetError: if the loss needs semantic maps and the dataset's game has none.
    """
    classes = tuple(dataset.semantic_maps("test").classes) if config.needs_maps else ()
    if config.weighting != "rarity":
        return Context(classes)
    frames = dataset.frames("train")
    rows = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _RARITY_FRAMES)).astype(np.int64))
    return Context(classes, rarity_table(torch.from_numpy(np.ascontiguousarray(frames[rows]))))


class Split:
    """One split of a dataset, ready to be picked from.

    On a GPU that has room for it, all of it is moved there once.

    Args:
        dataset: with ``frames(split)`` and, if ``with_maps``, ``semantic_maps(split)``.
        split: ``train`` or ``test``.
        with_maps: whether batches carry semantic maps.
        device: where batches will be used.

    Raises:
        DatasetError: if the split is empty, or its game has no semantic maps.
    """

    def __init__(self, dataset: FrameSource, split: str, *, with_maps: bool, device: torch.device) -> None:
        self._frames: Any = dataset.frames(split)
        self._maps = dataset.semantic_maps(split) if with_maps else None
        self.size = len(self._frames)
        if self.size == 0:
            raise DatasetError(f"the dataset's {split} split is empty; generate more frames or raise test_fraction")
        self._resident = device.type == "cuda" and self._frames.nbytes < torch.cuda.mem_get_info(device)[0] // 2
        if self._resident:
            self._frames = torch.from_numpy(np.ascontiguousarray(self._frames)).to(device)

    def pick(self, indices: npt.NDArray[np.int64]) -> Batch:
        """The samples at these indices, int64 (B,)."""
        maps = None if self._maps is None else torch.from_numpy(self._maps.pick(indices))
        if self._resident:
            return Batch(self._frames[torch.from_numpy(indices).to(self._frames.device)], maps)
        return Batch(torch.from_numpy(self._frames[indices]), maps)

    def batches(self, indices: npt.NDArray[np.int64]) -> Iterator[Batch]:
        """The batches of ``indices`` int64 (steps, B), each fetched while the one before is used."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
            coming = reader.submit(self.pick, indices[0])
            for following in indices[1:]:
                batch, coming = coming.result(), reader.submit(self.pick, following)
                yield batch
            yield coming.result()

    def spread(self, count: int) -> npt.NDArray[np.int64]:
        """At most ``count`` indices, evenly spread over the split, int64."""
        count = min(count, self.size)
        return (np.arange(count, dtype=np.int64) * self.size) // count


class ShuffleSampler:
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
        found = []
        while count > 0:
            number, start = divmod(position, self._size)
            found.append(self._permutation(number)[start : start + count])
            position, count = position + len(found[-1]), count - len(found[-1])
        return np.concatenate(found)


class Loader(Protocol):
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


class DatasetLoader:
    """Endless shuffled passes over the train split of a dataset.

    Args:
        split: the train split.
        seed: of the shuffling.
    """

    def __init__(self, split: Split, seed: int) -> None:
        self._split, self._sampler = split, ShuffleSampler(split.size, seed)
        self.epoch_samples = self.largest_batch = split.size

    def batches(self, position: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """See ``Loader``."""
        return self._split.batches(self._sampler.take(position, steps * batch_size).reshape(steps, batch_size))

    def close(self) -> None:
        """Nothing runs."""


class StreamLoader:
    """The frames of a ``FrameStream``, in its order, each once.

    Args:
        stream: what to draw.
        with_maps: whether batches carry semantic maps.
    """

    largest_batch = None

    def __init__(self, stream: FrameStream, *, with_maps: bool) -> None:
        self._stream, self._with_maps = stream, with_maps
        self.epoch_samples = stream.epoch_samples
        self._chunks: ChunkProcesses | None = None
        self._rows: Iterator[Rows] = iter(())
        self._next = (-1, 0)
        """Position and batch size that ``_rows`` goes on with."""

    def batches(self, position: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """See ``Loader``. Drawing goes on between two calls if the second begins where the first ended."""
        if self._next != (position, batch_size):
            self.close()
            self._chunks = self._stream.open(position, with_maps=self._with_maps)
            self._rows = cut(self._needed(self._chunks), batch_size, skip=position % CHUNK_FRAMES)
        for _ in range(steps):
            rows = next(self._rows)
            position += batch_size
            self._next = (position, batch_size)
            maps = torch.from_numpy(rows.labels[MAPS]) if self._with_maps else None
            yield Batch(torch.from_numpy(rows.frames), maps)

    def _needed(self, chunks: Iterator[Rows]) -> Iterator[Rows]:
        """The chunks, their labels reduced to what batches carry."""
        for rows in chunks:
            yield rows._replace(labels={MAPS: rows.labels[MAPS]} if self._with_maps else {})

    def close(self) -> None:
        """End the processes that draw."""
        if self._chunks is not None:
            self._chunks.close()
        self._chunks, self._next = None, (-1, 0)


def make_loader(dataset: FrameSource | FrameStream, *, seed: int, with_maps: bool, device: torch.device) -> Loader:
    """The data loader of a training on a dataset or a stream.

    Raises:
        DatasetError: if the train split is empty, or its game has no semantic maps though the loss needs them.
    """
    if isinstance(dataset, FrameStream):
        return StreamLoader(dataset, with_maps=with_maps)
    return DatasetLoader(Split(dataset, "train", with_maps=with_maps, device=device), seed)
