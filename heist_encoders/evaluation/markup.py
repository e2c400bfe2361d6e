"""Pieces of HTML that the report's sections share: numbers, heatmap cells, images as data URIs, tables."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.pictures import png_bytes
from heist_encoders.tasks.heist.elements import ELEMENTS

if TYPE_CHECKING:
    from heist_encoders.evaluation.entries import Entry

LABELS = {element: " ".join(reversed(element.split("_"))) for element in ELEMENTS}
"""``key_blue`` -> ``blue key``."""
SWATCHES = {"blue": "#2a9fe0", "green": "#6cc644", "red": "#e8622a"}
LOST, KEPT = 0.5, 0.9
"""F1 of the MLP probe under which an element counts as lost, and from which on as kept."""


def text(value: Any) -> str:
    """Escaped for HTML."""
    return escape(str(value))


def figure(metrics: Mapping[str, Any], *path: str) -> float | None:
    """The number at a path of nested mappings; None if it isn't there or isn't finite."""
    value: Any = metrics
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def number(value: float | None, form: str = ".2f") -> str:
    """A formatted number, or a dash."""
    return "–" if value is None else format(value, form)


def data_uri(image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """uint8 (H, W, 3) -> a data URI of its PNG."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(np.ascontiguousarray(image))).decode("ascii")


def heat(value: float | None) -> str:
    """CSS of a cell: orange for 0, pale for one half, blue for 1. The number is printed as well."""
    if value is None:
        return "background:#f3f4f6;color:#8a94a0"
    low, middle, high = (217, 95, 14), (250, 246, 238), (29, 95, 168)
    ends, share = ((low, middle), value * 2) if value < 0.5 else ((middle, high), value * 2 - 1)
    r, g, b = (round(x + (y - x) * min(1.0, max(0.0, share))) for x, y in zip(*ends, strict=True))
    dark = 0.299 * r + 0.587 * g + 0.114 * b < 150
    return f"background:rgb({r},{g},{b});color:{'#fff' if dark else '#1c2430'}"


def swatch(element: str) -> str:
    """A small square of the element's colour (the exit: yellow)."""
    color = SWATCHES.get(element.split("_")[-1], "#e8c33f")
    return f'<span class="swatch" style="background:{color}"></span>'


def colors(entries: Sequence[Entry]) -> dict[str, str]:
    """Family -> colour, the same for the same set of families."""
    families = sorted({entry.family for entry in entries})
    return {family: charts.COLORS[i % len(charts.COLORS)] for i, family in enumerate(families)}


def element_f1(metrics: Mapping[str, Any], element: str) -> float | None:
    """The MLP probe's F1 for an element."""
    return figure(metrics, "elements", element, "mlp_f1")


def table(rows: Any, *, limit: int = 30) -> str:
    """A sequence of mappings or a DataFrame as a table, at most ``limit`` rows."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        rows = rows.to_dict("records")
    rows = [dict(row) for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return number(value if math.isfinite(value) else None, ".4g")
        return "–" if value is None else text(value)

    head = "".join(f"<th>{text(str(n).replace('_', ' ').replace('/', ' '))}</th>" for n in names)
    body = "".join("<tr>" + "".join(f"<td>{cell(row.get(n))}</td>" for n in names) + "</tr>" for row in rows[:limit])
    more = f'<p class="soft">and {len(rows) - limit} more</p>' if len(rows) > limit else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
