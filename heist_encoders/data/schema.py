"""The columns of a shard: the frame, and the labels that the game's task names."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.tasks import task_of

FRAME = "frame"
FRAME_BYTES = int(np.prod(FRAME_SHAPE))


def columns(game: str) -> dict[str, str]:
    """Label columns of a game's dataset: name -> numpy dtype, in their order."""
    return task_of(game).label_columns()


def arrow_schema(game: str) -> pa.Schema:
    """The shard's Arrow schema: the frame as 12,288 bytes (64, 64, 3), then the labels."""
    labels = [pa.field(name, pa.from_numpy_dtype(np.dtype(kind)), False) for name, kind in columns(game).items()]
    return pa.schema([pa.field(FRAME, pa.binary(FRAME_BYTES), False), *labels])


def to_table(game: str, frames: NDArray[np.uint8], labels: dict[str, NDArray[np.generic]]) -> pa.Table:
    """Rows as an Arrow table. ``frames`` uint8 (N, 64, 64, 3); each label (N,) of the schema's dtype."""
    schema = arrow_schema(game)
    flat = pa.py_buffer(np.ascontiguousarray(frames))
    arrays = [pa.FixedSizeBinaryArray.from_buffers(pa.binary(FRAME_BYTES), len(frames), [None, flat])]
    arrays += [pa.array(labels[name].astype(kind, copy=False)) for name, kind in columns(game).items()]
    return pa.Table.from_arrays(arrays, schema=schema)


def frames_of(table: pa.Table) -> NDArray[np.uint8]:
    """uint8 (N, 64, 64, 3) of a table that holds the frame column."""
    parts = frame_parts(table)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def frame_parts(table: pa.Table) -> list[NDArray[np.uint8]]:
    """The same without a copy: one array a row group."""
    parts = []
    for chunk in table.column(FRAME).chunks:
        pixels = np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, *FRAME_SHAPE)
        parts.append(pixels[chunk.offset : chunk.offset + len(chunk)])
    return parts


def with_tensors(table: pa.Table) -> pa.Table:
    """The table with its frame column as a tensor column uint8 (64, 64, 3), of the same bytes."""
    kind = pa.fixed_shape_tensor(pa.uint8(), FRAME_SHAPE)
    chunks = []
    for chunk in table.column(FRAME).chunks:
        pixels = pa.Array.from_buffers(
            pa.uint8(), len(chunk) * FRAME_BYTES, [None, chunk.buffers()[1]], offset=chunk.offset * FRAME_BYTES
        )
        storage = pa.FixedSizeListArray.from_arrays(pixels, FRAME_BYTES)
        chunks.append(pa.ExtensionArray.from_storage(kind, storage))
    return table.set_column(table.column_names.index(FRAME), FRAME, pa.chunked_array(chunks, kind))


def content_hash(game: str, frames: NDArray[np.uint8], labels: dict[str, NDArray[np.generic]]) -> str:
    """SHA-256 (hex) of the decoded columns, little-endian: the same whatever library wrote the file."""
    digest = hashlib.sha256(np.ascontiguousarray(frames).data)
    for name, kind in columns(game).items():
        digest.update(name.encode())
        column = labels[name].astype(np.dtype(kind).newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
