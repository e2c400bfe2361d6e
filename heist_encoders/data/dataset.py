"""Open a dataset: frames as a memory map, labels as pandas, views for torch and Ray Data."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
import pyarrow as pa
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.data.manifest import SPLITS, Chunk, DatasetSpec, Manifest
from heist_encoders.data.schema import FRAME, FRAME_BYTES, columns, frame_parts, with_tensors
from heist_encoders.data.shards import read_manifest, read_shard
from heist_encoders.data.storage import Storage
from heist_encoders.errors import DatasetError, unknown_name
from heist_encoders.ray_session import cpu_count
from heist_encoders.semantic import SemanticMaps
from heist_encoders.tasks.base import SIDES, box_columns
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    import pandas as pd
    import ray.data

    from heist_encoders.data.torch_view import FramesDataset

_DECODED = ".decoded"
_DECODING_THREADS = 4
"""Shards decoded at once, 13 MB each."""


class _State(TypedDict):
    storage: Storage
    manifest: Manifest


class Dataset:
    """A whole dataset. ``len()`` counts the frames of both splits.

    Shards are compressed (about 0.6 KB a frame). The first access to a split's frames decodes them once to an
    uncompressed file (12 KB a frame) that every process of this machine then maps: in the dataset's own folder
    (``.decoded``), or below ``HEIST_ENCODERS_HOME`` if that folder is remote or read-only.

    Examples:
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> data.frames("train").dtype
        dtype('uint8')
        >>> data.labels("train")[["level_seed", "agent_x", "visible_key_blue"]].shape
        (461, 3)
        >>> data.semantic_maps("test").pick(np.arange(4)).shape
        (4, 64, 64)
    """

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self._storage = storage
        self._manifest = manifest
        self.spec: DatasetSpec = manifest.spec
        self.hash: str = manifest.hash
        """SHA-256 (hex) of the spec and the content; the same spec gives the same hash on every machine."""
        self._frames: dict[str, NDArray[np.uint8]] = {}
        self._labels: dict[str, pd.DataFrame] = {}
        self._maps: dict[str, SemanticMaps] = {}

    @property
    def path(self) -> str:
        """Where it lies, for any process: the folder's absolute path, or its URI."""
        return self._storage.uri if self._storage.path is None else str(self._storage.path)

    def __getstate__(self) -> _State:
        """Place and manifest: frames and labels are read again where they are needed."""
        return _State(storage=self._storage, manifest=self._manifest)

    def __setstate__(self, state: _State) -> None:
        self.__init__(state["storage"], state["manifest"])  # type: ignore[misc]

    def __len__(self) -> int:
        return self.spec.size

    def __repr__(self) -> str:
        spec, where = self.spec, self._storage.location
        return f"<Dataset {where}: {len(self):,} {spec.game} frames, {spec.distribution_mode}, {spec.balance}>"

    def rows(self, split: str) -> int:
        """Number of frames of a split."""
        return self.spec.rows(_check(split))

    def frames(self, split: str) -> NDArray[np.uint8]:
        """uint8 (N, 64, 64, 3), RGB: a read-only memory map of the ``train`` or ``test`` split."""
        if _check(split) not in self._frames:
            self._frames[split] = self._map(split)
        return self._frames[split]

    def labels(self, split: str) -> pd.DataFrame:
        """One row a frame; the columns are those of the task's ``label_columns``."""
        if _check(split) not in self._labels:
            import pandas as pd

            kinds = columns(self.spec.game)
            parts = [self.shard(chunk, list(kinds)).to_pandas() for chunk in self._chunks(split)]
            empty = pd.DataFrame({name: np.empty(0, kind) for name, kind in kinds.items()})
            self._labels[split] = pd.concat(parts, ignore_index=True) if parts else empty
        return self._labels[split]

    def boxes(self, split: str) -> NDArray[np.int16]:
        """int16 (N, E, 4): the painted boxes of the task's E elements on screen, x0 y0 x1 y1, half open; all 0 if not
        on screen. Raises DatasetError if the game's labels name no elements."""
        task = task_of(self.spec.game)
        task.check_elements("boxes")
        names = box_columns(task.elements)
        return self.labels(split)[names].to_numpy(np.int16).reshape(-1, len(task.elements), len(SIDES))

    def visible(self, split: str) -> NDArray[np.float32]:
        """float32 (N, E) in [0, 1]: how much of each element's painted box is on screen. Errors as ``boxes``."""
        task = task_of(self.spec.game)
        task.check_elements("visible fractions")
        return self.labels(split)[[f"visible_{element}" for element in task.elements]].to_numpy(np.float32)

    def semantic_maps(self, split: str) -> SemanticMaps:
        """The semantic maps of a split: what is painted at each pixel, worked out from the labels.

        ``.pick(rows)`` gives uint8 (B, 64, 64), indices into ``.classes``.

        Raises:
            DatasetError: if the dataset's game has none.
        """
        if _check(split) not in self._maps:
            self._maps[split] = task_of(self.spec.game).semantic_maps(self.labels(split), self.spec.distribution_mode)
        return self._maps[split]

    def shard(self, chunk: Chunk, names: list[str] | None = None) -> pa.Table:
        """The rows of a chunk, all columns or these. Raises DatasetError if its shard is missing or damaged."""
        return read_shard(self._storage, self.spec.game, chunk, self._manifest.shards[chunk.file].sha256, names)

    def torch(self, split: str) -> FramesDataset:
        """Map-style view: item ``i`` is ``(frame, row)``, a uint8 tensor (64, 64, 3) and its number in the split."""
        from heist_encoders.data.torch_view import FramesDataset

        return FramesDataset(self, _check(split))

    def ray(self, split: str) -> ray.data.Dataset:
        """A Ray Data view of the shards, for streaming to trainers on any node: ``frame`` uint8 (64, 64, 3), and the
        label columns. ``.iter_torch_batches(batch_size=128)`` gives ``frame`` as uint8 (128, 64, 64, 3) tensors."""
        import ray

        shards = [(chunk, self._manifest.shards[chunk.file].sha256) for chunk in self._chunks(split)]
        numbers = ray.data.range(len(shards), override_num_blocks=max(len(shards), 1))
        return numbers.map_batches(
            cast(Any, _read_shards),
            fn_kwargs={"uri": self.path, "game": self.spec.game, "shards": shards},
            batch_format="pyarrow",
            batch_size=None,
        )

    @cached_property
    def cache(self) -> Path:
        """Folder of the decoded frames on this machine."""
        folder = self._storage.path
        if folder is not None and os.access(folder, os.W_OK) and not (folder / _DECODED).is_symlink():
            return folder / _DECODED
        from heist_encoders.paths import home

        return home() / "cache" / "decoded" / self.hash

    def _chunks(self, split: str) -> list[Chunk]:
        return [chunk for chunk in self.spec.chunks() if chunk.split == split]

    def _map(self, split: str) -> NDArray[np.uint8]:
        rows = self.rows(split)
        if rows == 0:
            return np.empty((0, *FRAME_SHAPE), dtype=np.uint8)
        path = self.cache / f"{split}-{self.hash[:16]}.npy"
        if not path.exists():
            self._decode(split, rows, path)
        frames: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return frames

    def _decode(self, split: str, rows: int, path: Path) -> None:
        """Decode a split to ``path``. Several processes may do it at once; each writes its own, the last one stays."""
        path.parent.mkdir(parents=True, exist_ok=True)
        need = rows * FRAME_BYTES
        free = shutil.disk_usage(path.parent).free
        if free < need * 1.02:
            raise DatasetError(
                f"decoding {rows:,} frames takes {need / 1e9:.1f} GB and {path.parent} has {free / 1e9:.1f} GB free; "
                "make room there"
            )
        for stale in path.parent.glob(f"{split}-*.npy"):
            stale.unlink(missing_ok=True)
        temporary = path.with_name(f".writing-{uuid.uuid4().hex[:12]}.npy")
        threads = min(cpu_count(), _DECODING_THREADS)
        chunks = self._chunks(split)
        try:
            with temporary.open("wb") as file, ThreadPoolExecutor(threads) as pool:
                header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *FRAME_SHAPE)}
                write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
                file.flush()
                begin, number = file.tell(), file.fileno()

                def decode(chunk: Chunk) -> None:
                    at = begin + (chunk.start - chunks[0].start) * FRAME_BYTES
                    for frames in frame_parts(self.shard(chunk, [FRAME])):
                        left = frames.reshape(-1).data
                        while left:
                            written = os.pwrite(number, left, at)
                            left, at = left[written:], at + written

                for _ in pool.map(decode, chunks):
                    pass
                os.fsync(number)
            os.replace(temporary, path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DatasetError(f"cannot write decoded frames to {path.parent} ({reason}); make room there") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _read_shards(numbers: pa.Table, uri: str, game: str, shards: list[tuple[Chunk, str]]) -> pa.Table:
    """A block of Ray Data: the rows of the shards with these numbers."""
    storage = Storage(uri)
    wanted = [shards[i] for i in numbers["id"].to_pylist()]
    tables = [read_shard(storage, game, chunk, sha256) for chunk, sha256 in wanted]
    return pa.concat_tables([with_tensors(table) for table in tables])


def _check(split: str) -> str:
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    return split


def open_dataset(path_or_uri: str | Path) -> Dataset:
    """Open a dataset that ``generate`` made.

    Args:
        path_or_uri: its folder, or a URI that pyarrow's filesystems open.

    Raises:
        DatasetError: if it is no dataset, or not all of its shards are done.

    Examples:
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> len(data), data.frames("test").shape
        (512, (51, 64, 64, 3))
    """
    storage = Storage(path_or_uri)
    manifest = read_manifest(storage)
    if not manifest.complete:
        done, total = len(manifest.shards), manifest.spec.num_chunks
        raise DatasetError(
            f"{storage.location} is unfinished ({done} of {total} shards); run the same 'heist-encoders generate' again"
        )
    return Dataset(storage, manifest)
