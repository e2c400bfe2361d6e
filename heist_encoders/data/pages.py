"""How large the pages of a Parquet file say they are, before any is unpacked.

A page's header says how many bytes it unpacks to, and Arrow takes them from the memory before it looks at the page: up
to 2 GB for some kilobytes of a file. Arrow does not show these headers, and where a footer describes a column in a way
that it does not like, asking it for the column ends the process. Both are read here, strictly: what says anything else
than that of ``make_shard`` is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

_TRUE, _FALSE, _I8, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12
"""Types of Thrift's compact protocol."""
_BITS = {_I16: 16, _I32: 32, _I64: 64}
_TYPE, _UNPACKED, _PACKED, _DATA_PAGE = 1, 2, 3, 5
"""Numbers of fields of a page's header."""
_VALUES, _ENCODING = 1, 2
"""And of the part of it that is about values."""
_ALL_ROWS, _GROUPS = 3, 4
"""Of a footer."""
_COLUMNS, _GROUP_ROWS = 1, 3
"""Of a group of rows in it."""
_COLUMN = 3
"""Of a column of a group: what describes it."""
_PATH, _COLUMN_VALUES, _COLUMN_PACKED, _BEGIN, _DICTIONARY = 3, 5, 7, 9, 11
"""Of that."""
_DEPTH = 8
"""Structs and lists in one another, in a footer."""
_MAGIC = b"PAR1"
_LARGEST_FOOTER = 2**20


def check_pages(
    data: memoryview, widths: Mapping[str, int], *, counts: Mapping[str, int] | None = None, slack: int = 0
) -> int:
    """Compare what is to be read of a Parquet file with what its rows can take.

    Args:
        data: the bytes of the file.
        widths: path of a column of values -> bytes that a value of it takes at most; those that are to be read.
        counts: path -> values in a row, where these are not one.
        slack: bytes that a column may take besides, for what says which values are missing and where lists end.

    Returns:
        The number of rows.

    Raises:
        ArrowInvalid: if a column's pages hold other numbers of values than it has rows, are more than plain values, or
            unpack to more bytes than those can have.
    """
    try:
        footer = _footer(data)
        rows = 0
        for group in footer[_GROUPS]:
            rows += group[_GROUP_ROWS]
            described = [column[_COLUMN] for column in group[_COLUMNS]]
            columns = {b".".join(column[_PATH]).decode("ascii"): column for column in described}
            if len(columns) < len(described):
                raise pa.ArrowInvalid("columns of one name")
            for name, width in widths.items():
                values = group[_GROUP_ROWS] * (counts or {}).get(name, 1)
                column = columns[name]
                begin = column[_BEGIN]
                end = begin + column[_COLUMN_PACKED]
                if _DICTIONARY in column or column[_COLUMN_VALUES] != values or not 0 <= begin <= end <= len(data):
                    raise pa.ArrowInvalid(f"column {name} is not one of plain values")
                if _values(data[begin:end], values * width + slack) != values:
                    raise pa.ArrowInvalid(f"column {name} has other values than rows")
        if rows != footer[_ALL_ROWS]:
            raise pa.ArrowInvalid("other rows than it says")
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, AttributeError):
        raise pa.ArrowInvalid("a footer or a page's header of another kind") from None
    return rows


def _footer(data: memoryview) -> dict[int, Any]:
    size = int.from_bytes(data[-8:-4], "little")
    if bytes(data[-4:]) != _MAGIC or size > min(len(data) - 12, _LARGEST_FOOTER):
        raise pa.ArrowInvalid("a footer that is none")
    return _struct(data[-8 - size : -8], 0)[0]


def _values(pages: memoryview, limit: int) -> int:
    """The number of values in a column's pages, which unpack to ``limit`` bytes at most."""
    values, at = 0, 0
    while at < len(pages):
        header, at = _struct(pages, at)
        kind, unpacked, packed, inner = (header[field] for field in (_TYPE, _UNPACKED, _PACKED, _DATA_PAGE))
        if kind or inner[_ENCODING]:  # 0: a page of data, plain values
            raise pa.ArrowInvalid("a page of another kind")
        limit -= unpacked
        values += inner[_VALUES]
        at += packed
        if unpacked < 0 or packed < 0 or limit < 0 or at > len(pages):
            raise pa.ArrowInvalid("a page unpacks to more than its rows can take")
    return values


def _struct(data: memoryview, at: int, depth: int = _DEPTH) -> tuple[dict[int, Any], int]:
    """A struct of Thrift's compact protocol, field -> value, and where it ends."""
    fields: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        step, kind = head >> 4, head & 15
        field += step
        if not step or field in fields:  # 0: a field whose number is written out, as none is that Arrow writes
            raise KeyError(field)
        fields[field], at = (kind == _TRUE, at + 1) if kind in (_TRUE, _FALSE) else _value(data, at + 1, kind, depth)
    return fields, at + 1


def _value(data: memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A number, bytes, list or struct, and where it ends."""
    if kind in _BITS:
        value, at = _varint(data, at, _BITS[kind])
        return value >> 1 ^ -(value & 1), at
    if kind == _I8:
        return data[at], at + 1
    if kind == _BINARY:
        size, at = _varint(data, at, 32)
        return bytes(data[at : at + size]), at + size
    if kind == _STRUCT and depth > 1:
        return _struct(data, at, depth - 1)
    if kind == _LIST and depth > 1:
        size, kind = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = _varint(data, at, 32)
        found = []
        for _ in range(size):
            value, at = _value(data, at, kind, depth - 1)
            found.append(value)
        return found, at
    raise KeyError(kind)


def _varint(data: memoryview, at: int, bits: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128 and not value >> bits:
            return value, at + place + 1
    raise KeyError(value)
