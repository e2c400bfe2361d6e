"""How large the pages of a Parquet file say they are, before any is unpacked.

A page's header says how many bytes it unpacks to, and Arrow takes them from the memory before it looks at the page: up
to 2 GB for some kilobytes of a file. Arrow does not show these headers. They are read here, strictly: one that says
anything else than those of ``make_shard`` is refused.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_TRUE, _FALSE, _I32, _I64, _BINARY, _STRUCT = 1, 2, 5, 6, 8, 12
"""Types of Thrift's compact protocol."""
_TYPE, _UNPACKED, _PACKED, _DATA_PAGE = 1, 2, 3, 5
"""Numbers of fields of a page's header."""
_VALUES, _ENCODING = 1, 2
"""And of the part of it that is about values."""
_DEPTH = 3
"""A header, what it says of values, and the statistics of these."""


def check_pages(data: memoryview, metadata: pq.FileMetaData, widths: dict[str, int]) -> None:
    """Compare what is to be read of a Parquet file with what its rows can take.

    Args:
        data: the bytes of the file.
        metadata: what its footer says.
        widths: column -> bytes that a value of it takes at most; the columns that are to be read.

    Raises:
        ArrowInvalid: if a column's pages hold other numbers of values than it has rows, are more than plain values, or
            unpack to more bytes than those can have.
    """
    places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    if not places.keys() >= widths.keys():
        raise pa.ArrowInvalid("columns of columns")
    rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        for name, width in widths.items():
            column = group.column(places[name])
            begin = column.data_page_offset
            end = begin + column.total_compressed_size
            if column.has_dictionary_page or column.num_values != group.num_rows or not 0 <= begin <= end <= len(data):
                raise pa.ArrowInvalid(f"column {name} is not one of plain values")
            if _values(data[begin:end], group.num_rows * width) != group.num_rows:
                raise pa.ArrowInvalid(f"column {name} has other values than rows")
    if rows != metadata.num_rows:
        raise pa.ArrowInvalid("other rows than it says")


def _values(pages: memoryview, limit: int) -> int:
    """The number of values in a column's pages, which unpack to ``limit`` bytes at most."""
    values, at = 0, 0
    while at < len(pages):
        try:
            header, at = _struct(pages, at)
            kind, unpacked, packed, inner = (header[field] for field in (_TYPE, _UNPACKED, _PACKED, _DATA_PAGE))
            if kind or inner[_ENCODING]:  # 0: a page of data, plain values
                raise pa.ArrowInvalid("a page of another kind")
            limit -= unpacked
            values += inner[_VALUES]
            at += packed
        except (IndexError, KeyError, TypeError):
            raise pa.ArrowInvalid("a page without a header") from None
        if unpacked < 0 or packed < 0 or limit < 0 or at > len(pages):
            raise pa.ArrowInvalid("a page unpacks to more than its rows can take")
    return values


def _struct(data: memoryview, at: int, depth: int = _DEPTH) -> tuple[dict[int, Any], int]:
    """A struct of Thrift's compact protocol: field -> its number or struct, None for others; and where it ends."""
    fields: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        at += 1
        step, kind = head >> 4, head & 15
        field += step
        value: Any = None
        if kind in (_I32, _I64):
            value, at = _varint(data, at, 32 if kind == _I32 else 64)
            value = value >> 1 ^ -(value & 1)
        elif kind == _BINARY:
            size, at = _varint(data, at, 32)
            at += size
        elif kind == _STRUCT and depth > 1:
            value, at = _struct(data, at, depth - 1)
        elif kind not in (_TRUE, _FALSE):
            raise KeyError(kind)
        if not step:  # a field whose number is written out: none of those that are needed
            raise KeyError(field)
        fields[field] = value
    return fields, at + 1


def _varint(data: memoryview, at: int, bits: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128 and not value >> bits:
            return value, at + place + 1
    raise KeyError(value)
