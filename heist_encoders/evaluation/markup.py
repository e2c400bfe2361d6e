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

if TYPE_CHECKING:
    from heist_encoders.evaluation.entries import Entry

LOST, KEPT = 0.5, 0.9
"""IoU under which a class counts as lost, and from which on as kept."""

_WORDS = {
    "floor": (24, 26, 30), "wall": (186, 198, 200), "agent": (255, 255, 255), "exit": (232, 195, 63),
    "cheese": (232, 195, 63), "key_blue": (96, 190, 255), "key_green": (150, 235, 110), "key_red": (255, 140, 90),
    "door_blue": (30, 110, 200), "door_green": (50, 140, 40), "door_red": (190, 50, 30), "ring_blue": (60, 150, 230),
    "ring_green": (100, 190, 75), "ring_red": (225, 95, 60),
}  # fmt: skip
"""Colours of classes by name; others get one of the charts' colours."""


def class_color(name: str, index: int = 0) -> tuple[int, int, int]:
    """The colour in which a class of a semantic map is drawn, RGB."""
    if name in _WORDS:
        return _WORDS[name]
    red, green, blue = (int(charts.COLORS[index % len(charts.COLORS)][i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def label(name: str) -> str:
    """``key_blue`` -> ``blue key``."""
    return " ".join(reversed(name.split("_")))


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


def swatch(name: str) -> str:
    """A small square of a class's colour."""
    return f'<span class="swatch" style="background:rgb{class_color(name)}"></span>'


def colors(entries: Sequence[Entry]) -> dict[str, str]:
    """Architecture -> colour, the same for the same set of architectures."""
    families = sorted({entry.family for entry in entries})
    return {family: charts.COLORS[i % len(charts.COLORS)] for i, family in enumerate(families)}


def grouped_iou(probes: Mapping[str, Any]) -> dict[str, float | None]:
    """Mean IoU by the first word of the classes' names: floor, wall, agent, key, door, ..."""
    groups: dict[str, list[float]] = {}
    for name, value in (probes.get("iou") or {}).items():
        groups.setdefault(str(name).split("_")[0], []).extend([] if value is None else [float(value)])
    return {name: sum(values) / len(values) if values else None for name, values in groups.items()}


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
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'
