"""An endless source of fresh labelled frames, for training that never sees a frame twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heist_encoders.data.drawing import ChunkProcesses, stream_chunk
from heist_encoders.data.manifest import CHUNK_FRAMES, DatasetSpec
from heist_encoders.data.sampler import Rows, draw_chunk
from heist_encoders.errors import ConfigError, DatasetError
from heist_encoders.json_text import JsonObject
from heist_encoders.semantic import SemanticMaps
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    import pandas as pd

    from heist_encoders.data.dataset import Dataset

_FIRST_CHUNKS = 4
"""Chunks that ``FrameStream.frames("train")`` shows."""


def stream(spec: DatasetSpec | JsonObject, *, batch_size: int = 128, start: int = 0) -> Iterator[Rows]:
    """Draw batches without end in this process: about 18,000 balanced frames/s on one core.

    The frames come from the training levels and are not those of the dataset of the same spec. The stream is a
    function of the spec's options and seed; its ``size`` and ``test_fraction`` do not matter.

    Args:
        spec: what to draw.
        batch_size: frames a batch.
        start: number of the first chunk of 1,008 frames, to go on where a stream was left or to give each of several
            processes a stream of its own.

    Yields:
        Rows of ``frames`` uint8 (batch_size, 64, 64, 3) and ``labels``, a dictionary of arrays (batch_size,) with the
        columns of ``heist_encoders.data.schema``. Two batches never share memory.

    Raises:
        ConfigError: for a spec or number out of range.

    Examples:
        >>> batches = heist_encoders.stream({"seed": 1}, batch_size=32)
        >>> rows = next(batches)
        >>> rows.frames.shape, rows.labels["progress"].shape
        ((32, 64, 64, 3), (32,))
    """
    if isinstance(spec, dict):
        spec = DatasetSpec.from_dict(spec)
    if batch_size < 1 or start < 0:
        raise ConfigError(f"batch_size = {batch_size}, start = {start}: expected at least 1 and at least 0")
    return _batches(spec, batch_size, start)


def _batches(spec: DatasetSpec, batch_size: int, number: int) -> Iterator[Rows]:
    return cut((stream_chunk(spec, n) for n in count(number)), batch_size)


def cut(chunks: Iterator[Rows], batch_size: int, skip: int = 0) -> Iterator[Rows]:
    """Chunks of rows -> batches of exactly ``batch_size`` rows, in order, the first ``skip`` rows left out.

    Two batches never share memory.
    """
    left: Rows | None = None
    while True:
        parts, total = ([left], len(left.frames)) if left is not None else ([], 0)
        while total < batch_size + skip:
            fresh = next(chunks)
            parts.append(fresh)
            total += len(fresh.frames)
        rows = _joined(parts)
        at, skip = skip, 0
        while at + batch_size <= total:
            yield _part(rows, at, at + batch_size)
            at += batch_size
        left = _part(rows, at, total) if at < total else None


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    labels: dict[str, NDArray[np.generic]] = {
        name: np.concatenate([part.labels[name] for part in parts]) for name in parts[0].labels
    }
    return Rows(np.concatenate([part.frames for part in parts]), labels)


def _part(rows: Rows, start: int, stop: int) -> Rows:
    return Rows(
        rows.frames[start:stop].copy(), {name: column[start:stop].copy() for name, column in rows.labels.items()}
    )


class FrameStream:
    """What ``train`` takes instead of a dataset to train on frames of which none is seen twice.

    Its training frames are those of ``stream(spec)``, drawn ahead by processes in the background. The training is
    evaluated on the test split of a dataset, or on the test frames that the dataset of the same spec would have.

    Args:
        spec: what to draw. Its train frames (``size`` less the test fraction) make an epoch, unless the training's
            ``epoch_samples`` says otherwise.
        dataset: whose test split to evaluate on; None draws the spec's own.
        workers: processes that draw, about 18,000 frames/s each, 10,000 with semantic maps. Never changes the frames.

    Attributes:
        hash: of the spec and the dataset, SHA-256 (hex).

    Raises:
        ConfigError: for a spec or a number out of range.
        DatasetError: if the dataset shows another game, mode or background than the spec.

    Examples:
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> stream = heist_encoders.FrameStream({"size": 1_000_000, "seed": 1}, data)
        >>> stream.frames("test").shape  # those of the dataset
        (51, 64, 64, 3)
    """

    def __init__(self, spec: DatasetSpec | JsonObject, dataset: Dataset | None = None, *, workers: int = 1) -> None:
        self.spec = DatasetSpec.from_dict(spec) if isinstance(spec, dict) else spec
        if workers < 1:
            raise ConfigError(f"workers = {workers}: expected at least 1 process to draw the stream")
        self.workers = workers
        self.dataset = dataset
        if dataset is not None:
            for option in ("game", "distribution_mode", "use_backgrounds"):
                drawn, tested = getattr(self.spec, option), getattr(dataset.spec, option)
                if drawn != tested:
                    raise DatasetError(
                        f"the stream has {option} {drawn!r} and the dataset to test on has {tested!r}; "
                        f"set the stream's {option} to {tested!r}"
                    )
        of = "" if dataset is None else dataset.hash
        self.hash = hashlib.sha256(f"stream {self.spec.canonical()} {of}".encode()).hexdigest()

    def __repr__(self) -> str:
        return f"<FrameStream of {self.spec.game}, {self.spec.distribution_mode}, {self.spec.balance}>"

    def __getstate__(self) -> dict[str, object]:
        """Without the frames that were drawn here: they are drawn again where they are needed."""
        return {name: value for name, value in vars(self).items() if name not in ("_first", "_test")}

    @property
    def epoch_samples(self) -> int:
        """Frames of an epoch where the training doesn't say: the train frames of the spec."""
        return max(1, self.spec.rows("train"))

    def record(self) -> JsonObject:
        """How an artifact describes its training frames."""
        tested = "drawn test frames of the same spec" if self.dataset is None else f"dataset {self.dataset.hash}"
        return {"spec": self.spec.to_dict(), "tested_on": tested}

    def open(self, position: int, *, with_maps: bool = False) -> ChunkProcesses:
        """Start the processes that draw from the chunk in which frame ``position`` of the stream lies.

        ``with_maps`` adds the column ``semantic_map``, see ``ChunkProcesses``.
        """
        return ChunkProcesses(self.spec, position // CHUNK_FRAMES, self.workers, with_maps=with_maps)

    def frames(self, split: str) -> NDArray[np.uint8]:
        """uint8 (N, 64, 64, 3): all test frames; of ``train`` the first 4,032, for statistics of the encoding."""
        if split == "test" and self.dataset is not None:
            return self.dataset.frames("test")
        return (self._test if split == "test" else self._first).frames

    def labels(self, split: str) -> pd.DataFrame:
        """The labels of the frames that ``frames`` gives, as ``Dataset.labels``."""
        import pandas as pd

        if split == "test" and self.dataset is not None:
            return self.dataset.labels("test")
        return pd.DataFrame(dict((self._test if split == "test" else self._first).labels))

    def maps_of(self, labels: Mapping[str, NDArray[np.generic]]) -> SemanticMaps:
        """Semantic maps of frames with such label columns (N,). Raises DatasetError for games without them."""
        return task_of(self.spec.game).semantic_maps(labels, self.spec.distribution_mode)

    def semantic_maps(self, split: str) -> SemanticMaps:
        """Of the frames that ``frames`` gives. Raises DatasetError for games without semantic maps."""
        if split == "test" and self.dataset is not None:
            return self.dataset.semantic_maps("test")
        return self.maps_of((self._test if split == "test" else self._first).labels)

    @cached_property
    def _first(self) -> Rows:
        return _joined([stream_chunk(self.spec, number) for number in range(_FIRST_CHUNKS)])

    @cached_property
    def _test(self) -> Rows:
        chunks = [chunk for chunk in self.spec.chunks() if chunk.split == "test"]
        if not chunks:
            raise DatasetError(
                f"a spec of size {self.spec.size} and test_fraction {self.spec.test_fraction:g} has no test frames to "
                "evaluate the training on; raise one of them or name a dataset to test on"
            )
        return _joined([draw_chunk(self.spec, chunk) for chunk in chunks])
