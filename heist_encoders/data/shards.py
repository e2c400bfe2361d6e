"""Shards (one Parquet file a chunk) and the manifest, written and read through a Storage."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from heist_encoders.data.manifest import Chunk, DatasetSpec, Manifest, Shard
from heist_encoders.data.pages import check_pages
from heist_encoders.data.sampler import Rows, draw_chunk
from heist_encoders.data.schema import FRAME, arrow_schema, content_hash, to_table
from heist_encoders.data.storage import Storage
from heist_encoders.errors import DatasetError

MANIFEST = "manifest.json"
_ZSTD_LEVEL = 1
_PAGE_BYTES = 2**18
"""Of a column's pages before compression: small enough for a processor's cache."""


def make_shard(spec: DatasetSpec, chunk: Chunk, storage: Storage) -> tuple[Shard, Rows]:
    """Draw a chunk and write its shard; the caller enters it in the manifest."""
    rows = draw_chunk(spec, chunk)
    table = to_table(spec.game, rows.frames, rows.labels)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=chunk.rows,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=False,
        write_statistics=[name for name in table.column_names if name != FRAME],
        data_page_size=_PAGE_BYTES,
    )
    data = memoryview(sink.getvalue())
    storage.write(chunk.file, data)
    content = content_hash(spec.game, rows.frames, rows.labels)
    return Shard(chunk.rows, hashlib.sha256(data).hexdigest(), content), rows


def read_shard(storage: Storage, game: str, chunk: Chunk, sha256: str, columns: list[str] | None = None) -> pa.Table:
    """Read a shard, or some of its columns.

    Args:
        storage: where it lies.
        game: of the dataset.
        chunk: of which it is the shard.
        sha256: that its bytes must have, hex.
        columns: of the table; None: all.

    Raises:
        DatasetError: if it is missing or damaged.
    """
    schema = arrow_schema(game)
    try:
        data = storage.read(chunk.file)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise pa.ArrowInvalid("other bytes than those that were written")
        return _read(data, chunk, schema, columns or schema.names)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last by names in the footer
        missing = isinstance(error, FileNotFoundError)
        raise DatasetError(
            f"{storage.location}: shard {chunk.file} is {'missing' if missing else 'damaged'}; "
            f"repair it with 'heist-encoders repair {storage.location}'"
        ) from None


def _read(data: bytes, chunk: Chunk, schema: pa.Schema, columns: list[str]) -> pa.Table:
    """Some columns of a Parquet file. Raises ArrowInvalid, mostly before it is decoded, if it is not ``chunk``'s."""
    # Parquet has no integers of less than four bytes.
    rows = check_pages(memoryview(data), {name: max(4, schema.field(name).type.bit_width // 8) for name in columns})
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        found = file.schema_arrow
        if rows != chunk.rows or any(
            found.get_field_index(name) < 0 or found.field(name).type != schema.field(name).type for name in columns
        ):
            raise pa.ArrowInvalid(f"{rows} rows of other columns")
        table = file.read(columns, use_threads=False)
    if table.num_rows != rows or any(column.null_count for column in table.columns):
        raise pa.ArrowInvalid("other values than it says")
    return table


def read_manifest(storage: Storage) -> Manifest:
    """The folder's manifest.

    Raises:
        DatasetError: if there is none or it is none.
    """
    try:
        text = storage.read(MANIFEST).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise DatasetError(
            f"{storage.location} is not a dataset: it has no {MANIFEST}; expected a folder that "
            "'heist-encoders generate' made"
        ) from None
    return Manifest.from_json(text, f"{storage.location}/{MANIFEST}")


def write_manifest(storage: Storage, manifest: Manifest) -> None:
    """Replace the folder's manifest."""
    storage.write(MANIFEST, manifest.to_json().encode())


def look(spec: DatasetSpec, storage: Storage) -> Manifest:
    """The manifest of what the folder already holds of ``spec``; nothing is written.

    A manifest of another dataset of which there is no shard yet does not count.

    Raises:
        DatasetError: if the folder holds another dataset or other people's files.
    """
    names = storage.names()
    if MANIFEST not in names:
        others = [name for name in names if not name.startswith(".")]
        if others:
            raise DatasetError(
                f"{storage.location} is not empty (it holds {others[0]!r}) and is no dataset; give another --out"
            )
        return Manifest(spec)
    manifest = read_manifest(storage)
    present = {name: shard for name, shard in manifest.shards.items() if name in names}
    if manifest.spec == spec:
        return Manifest(spec, present)
    if not present and not any(name.endswith(".parquet") for name in names):
        return Manifest(spec)
    ours, theirs = spec.to_dict(), manifest.spec.to_dict()
    differing = next(key for key in ours if ours[key] != theirs[key])
    raise DatasetError(
        f"{storage.location} holds another dataset ({differing} = {theirs[differing]!r}, asked for "
        f"{ours[differing]!r}); give another --out or the same options"
    )


def prepare(spec: DatasetSpec, storage: Storage) -> Manifest:
    """Make the folder ready for ``spec``: its manifest as far as it has come, no left-overs of a killed run.

    Raises:
        DatasetError: as ``look`` does, or if the folder cannot be written to.
    """
    manifest = look(spec, storage)
    storage.create()
    storage.remove_temporaries()
    if not manifest.shards:
        write_manifest(storage, manifest)
    return manifest
