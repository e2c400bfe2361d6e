"""Values as JSON can hold them. Light: the standard library alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from typing import Any


def plain(value: Any, digits: int | None = None) -> Any:
    """``value`` as ``json.dumps`` takes it.

    Numpy's scalars and arrays become Python's, tuples and sets lists, paths strings, what has a ``to_dict`` its
    dictionary, keys strings, NaN and infinity None.

    Args:
        value: anything.
        digits: significant digits that floats are rounded to; None keeps them as they are.
    """
    if value is None or isinstance(value, str | bytes | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(value) if digits is None else float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "to_dict"):
        return plain(value.to_dict(), digits)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain(value.tolist(), digits)
    if isinstance(value, Collection):
        return [plain(item, digits) for item in value]
    return value


def to_json(data: Mapping[str, Any]) -> str:
    """Readable JSON text of a mapping, as ``plain`` gives it."""
    return json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
