"""Values as JSON can hold them. Light: the standard library alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias, overload

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a JSON file can hold."""
JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose keys are not fixed here: a configuration before it is validated, a row of figures, a file of
another version. Objects with fixed keys have a TypedDict."""
_MOST_BYTES = 64_000_000


@overload
def plain(value: Mapping[str, object], digits: int | None = None) -> JsonObject: ...
@overload
def plain(value: object, digits: int | None = None) -> Json: ...
def plain(value: object, digits: int | None = None) -> Json | JsonObject:
    """``value`` as ``json.dumps`` takes it.

    Numpy's scalars and arrays become Python's, tuples and sets lists, paths strings, what has a ``to_dict`` its
    dictionary, keys strings, NaN and infinity None.

    Args:
        value: anything.
        digits: significant digits that floats are rounded to; None keeps them as they are.

    Raises:
        TypeError: for a value that JSON can't hold.
    """
    return _plain(value, digits)


def _plain(value: object, digits: int | None) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(value) if digits is None else float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digits) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict(), digits)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _plain(value.tolist(), digits)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return [_plain(item, digits) for item in value]
    raise TypeError(f"{type(value).__name__} is no JSON value")


def parse_json(text: str) -> Any:
    """What JSON text holds. Raises ValueError if it is none, also where it is nested too deeply for Python."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: if it can't be read.
        ValueError: if it holds no JSON, or more than 64 MB of it.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(f"it holds {size:,} bytes, expected at most {_MOST_BYTES:,}")
    return parse_json(path.read_text(encoding="utf-8"))


def to_json(data: Mapping[str, object]) -> str:
    """Readable JSON text of a mapping, as ``plain`` gives it."""
    return json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
