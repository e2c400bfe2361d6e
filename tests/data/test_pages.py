"""Pages of a shard that claim to unpack to more than its rows can take: refused before memory is taken for them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.pages import check_pages
from heist_encoders.data.schema import FRAME, FRAME_BYTES, columns, to_table
from heist_encoders.data.shards import read_shard
from heist_encoders.data.storage import Storage
from heist_encoders.errors import DatasetError

ROWS = 1008
CHUNK = DatasetSpec(size=ROWS, game="maze", balance="basic", test_fraction=0.0).chunks()[0]
FIELDS = pa.schema([pa.field("a", pa.int64(), nullable=False)])
NUMBERS = pa.table({"a": np.arange(50)}, schema=FIELDS)


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "use_dictionary": False, **options})
    return sink.getvalue()


def check(content: bytes, data: bytes | None = None) -> None:
    assert check_pages(memoryview(content if data is None else data), {"a": 8}) == NUMBERS.num_rows


def compact(value: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    value, out = value << 1, b""
    while value > 127:
        value, out = value >> 7, out + bytes([value & 127 | 128])
    return out + bytes([value])


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """Arrow takes ``most`` bytes in the block at most, or no more than it once did before."""
    pool = pa.default_memory_pool()
    before = pool.max_memory()
    yield
    assert pool.max_memory() <= max(before, pool.bytes_allocated() + most)


def test_a_page_that_claims_much_takes_no_memory(tmp_path: Path) -> None:
    """The frames' page says 134 MB in place of 12; the manifest's author gave the SHA-256 of the altered file."""
    labels: dict[str, Any] = {name: np.zeros(ROWS, kind) for name, kind in columns("maze").items()}
    whole = written(to_table("maze", np.zeros((ROWS, 64, 64, 3), np.uint8), labels))
    true, claimed = compact(ROWS * FRAME_BYTES), compact(2**27 - 1)
    assert len(true) == len(claimed)
    hostile = whole[:64].replace(true, claimed, 1) + whole[64:]
    assert hostile != whole

    def read(content: bytes) -> pa.Table:
        (tmp_path / CHUNK.file).write_bytes(content)
        return read_shard(Storage(tmp_path), "maze", CHUNK, hashlib.sha256(content).hexdigest(), [FRAME])

    assert read(whole).num_rows == ROWS
    with little_memory(2**20), pytest.raises(DatasetError, match=r"shard train-000000.parquet is damaged; repair it"):
        read(hostile)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "none"}, {"row_group_size": 7}, {"data_page_size": 16, "write_batch_size": 3}]
)
def test_plain_values_pass(options: dict[str, Any]) -> None:
    check(written(NUMBERS, **options))


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (NUMBERS, {"use_dictionary": True}),
        (NUMBERS, {"data_page_version": "2.0"}),
        (NUMBERS, {"column_encoding": {"a": "DELTA_BINARY_PACKED"}}),
        (pa.table({"a": ["x" * 50] * 50}), {}),
        (pa.table({"a": [[1, 2]] * 50}, schema=pa.schema([pa.field("a", pa.list_(pa.int64()))])), {}),
    ],
)
def test_other_pages_do_not(table: pa.Table, options: dict[str, Any]) -> None:
    """Dictionaries and encodings from which few bytes make many."""
    content = written(table, **options)
    with pytest.raises(pa.ArrowInvalid):
        check(content)


def test_a_header_with_any_byte_changed() -> None:
    """It is refused, or Arrow reads it and takes no more memory than for the page as it was."""
    content, random, refused = written(NUMBERS), Random(1), 0
    with little_memory(2**20):
        for _ in range(1_000):
            data = bytearray(content)
            for _ in range(random.randrange(1, 4)):
                data[4 + random.randrange(40)] = random.randrange(256)
            try:
                check(content, bytes(data))
            except pa.ArrowInvalid:
                refused += 1
                continue
            with suppress(OSError, pa.ArrowException):
                pq.ParquetFile(pa.BufferReader(bytes(data))).read(use_threads=False)
    assert 200 < refused < 900


def test_a_file_that_is_cut() -> None:
    content = written(NUMBERS)
    for end in (4, 10, 40):
        with pytest.raises(pa.ArrowInvalid):
            check(content, content[:end])
