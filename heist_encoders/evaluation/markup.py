"""What the report's templates are given to write with: numbers, colours of cells and classes, images as data URIs."""

from __future__ import annotations

import base64
import functools
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from numpy.typing import NDArray

from heist_encoders.evaluation.charts import COLORS
from heist_encoders.evaluation.figures import Table
from heist_encoders.evaluation.pictures import png_bytes
from heist_encoders.json_text import JsonObject

LOST, KEPT = 0.5, 0.9
"""IoU under which a class counts as missed by the probe, and from which on as read."""

_HEAT = LinearSegmentedColormap.from_list("heat", ("#d95f0e", "#faf6ee", "#1d5fa8"))
_CLASSES = {
    "floor": "#181a1e", "wall": "#bac6c8", "agent": "#ffffff", "exit": "#e8c33f", "cheese": "#e8c33f",
    "key_blue": "#60beff", "key_green": "#96eb6e", "key_red": "#ff8c5a",
    "door_blue": "#1e6ec8", "door_green": "#328c28", "door_red": "#be321e",
    "ring_blue": "#3c96e6", "ring_green": "#64be4b", "ring_red": "#e15f3c",
}  # fmt: skip
"""Colours of classes by name; others get one of the charts' colours."""


def class_colors(classes: Iterable[str]) -> dict[str, str]:
    """The colour in which each class of a semantic map is drawn."""
    return {name: _CLASSES.get(name, COLORS[i % len(COLORS)]) for i, name in enumerate(classes)}


def palette(classes: Iterable[str]) -> NDArray[np.uint8]:
    """``class_colors`` as uint8 (classes, 3)."""
    return np.array([[round(255 * part) for part in to_rgb(c)] for c in class_colors(classes).values()], np.uint8)


def label(name: str) -> str:
    """``key_blue`` -> ``blue key``."""
    return " ".join(reversed(name.split("_")))


def figure(metrics: Mapping[str, object], *path: str) -> float | None:
    """The number at a path of nested mappings; None if it isn't there or isn't finite."""
    value: object = metrics
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def number(value: float | None, form: str = ".2f") -> str:
    """A formatted number, or a dash."""
    return "–" if value is None else format(value, form)


def table(rows: Table, limit: int = 30) -> dict[str, object]:
    """The cells of a plain table: a DataFrame or mappings, at most ``limit`` of them, floats with four digits."""
    found = records(rows)
    names = list(dict.fromkeys(name for row in found for name in row))

    def cell(value: object) -> str:
        if isinstance(value, float):
            return number(value if math.isfinite(value) else None, ".4g")
        return "–" if value is None else str(value)

    return {
        "heads": [str(name).replace("_", " ").replace("/", " ") for name in names],
        "rows": [[cell(row.get(name)) for name in names] for row in found[:limit]],
        "more": max(0, len(found) - limit),
    }


def records(rows: Table) -> list[dict[str, object]]:
    """The rows of a DataFrame, or mappings, as dictionaries."""
    if isinstance(rows, pd.DataFrame):
        return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    return [dict(row) for row in rows]


def data_uri(content: bytes, kind: str) -> str:
    """A data URI of a file's bytes and its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def picture(image: NDArray[np.uint8]) -> str:
    """uint8 (H, W, 3) -> a data URI of its PNG."""
    return data_uri(png_bytes(np.ascontiguousarray(image)), "image/png")


def heat(value: float | None) -> str:
    """CSS of a cell: orange for 0, pale for one half, blue for 1. The number is printed as well."""
    if value is None:
        return "background:#f3f4f6;color:#8a94a0"
    red, green, blue, _ = _HEAT(value)
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.59
    return f"background:{to_hex((red, green, blue))};color:{'#fff' if dark else '#1c2430'}"


def grouped_iou(probes: JsonObject) -> dict[str, float | None]:
    """Mean IoU by the first word of the classes' names: floor, wall, agent, key, door, ..."""
    groups: dict[str, list[float]] = {}
    for name, value in (probes.get("iou") or {}).items():
        groups.setdefault(str(name).split("_")[0], []).extend([] if value is None else [float(value)])
    return {name: sum(values) / len(values) if values else None for name, values in groups.items()}


@functools.cache
def templates() -> Environment:
    """The report's templates. All text that is put into them is escaped."""
    environment = Environment(
        loader=PackageLoader("heist_encoders.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(heat=heat, label=label, number=number)
    environment.globals.update(figure=figure, grouped_iou=grouped_iou)
    return environment
