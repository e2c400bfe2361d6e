"""Small charts as inline SVG: no scripts, no fonts, no outside resources. Colours by Okabe and Ito (2008)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A", "#000000")
"""Distinguishable with every common kind of colour blindness; every line and point is labelled besides."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 40


class _Axis:
    """Maps values to pixels; ticks at round numbers (powers and halves of ten on a log axis)."""

    def __init__(self, values: Sequence[float], start: float, stop: float, *, log: bool = False) -> None:
        finite = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        low, high = min(finite), max(finite)
        if log:
            low, high = math.log10(low) - 0.12, math.log10(high) + 0.12
        else:
            margin = (high - low) * 0.06 or abs(high) * 0.1 or 0.1
            low, high = low - margin, high + margin
        self.log, self.low, self.high, self.start, self.stop = log, low, high, start, stop
        self.whole = not log and all(v == int(v) for v in finite)  # epochs and steps have no fractions

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        value = math.log10(max(value, 1e-30)) if self.log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the axis."""
        if self.log:
            powers = range(math.floor(self.low), math.ceil(self.high) + 1)
            span = self.high - self.low
            marks = (1, 1.5, 2, 3, 4, 5, 6, 8) if span < 0.7 else (1, 2, 5) if span < 2.2 else (1,)
            found = [m * 10.0**p for p in powers for m in marks]
            return [v for v in found if self.low <= math.log10(v) <= self.high]
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
        step = max(1.0, step) if self.whole else step
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def _short(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{round(value, 6):g}"


def _frame(x: _Axis, y: _Axis, width: int, height: int, x_label: str, y_label: str, title: str) -> list[str]:
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>"
    ]
    for value in y.ticks():
        v = y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{v:.1f}" y2="{v:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{v + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    bottom = height - _BOTTOM
    for value in x.ticks():
        v = x(value)
        parts.append(f'<line class="grid" x1="{v:.1f}" x2="{v:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{v:.1f}" y="{bottom + 16}" text-anchor="middle">{_short(value)}</text>')
    middle = (_LEFT + width - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text class="axis" transform="translate(13 {(_TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    return parts


def scatter(
    points: Sequence[tuple[str, float, float, str]],
    *,
    x_label: str,
    y_label: str,
    title: str,
    width: int = 520,
    height: int = 330,
) -> str:
    """Points with their labels, the x axis logarithmic.

    Args:
        points: (label, x > 0, y, colour) each.
        title: for screen readers.
    """
    x = _Axis([p[1] for p in points], _LEFT + 8, width - _RIGHT - 40, log=True)
    y = _Axis([p[2] for p in points], height - _BOTTOM, _TOP + 6)
    parts = _frame(x, y, width, height, x_label, y_label, title)
    placed: list[tuple[float, float, float]] = []  # left, right, baseline of the labels so far
    for label, px, py, color in sorted(points, key=lambda p: -p[2]):
        cx, cy = x(px), y(py)
        wide = 6.6 * len(label)
        left = cx + 9 if cx + 9 + wide < width - 2 else cx - 9 - wide
        line = cy + 4
        while any(left < right and start < left + wide and abs(line - other) < 13 for start, right, other in placed):
            line += 3
        placed.append((left, left + wide, line))
        if abs(line - cy - 4) > 6:
            near = left - 2 if left > cx else left + wide + 2
            parts.append(f'<line class="leader" x1="{cx:.1f}" y1="{cy:.1f}" x2="{near:.1f}" y2="{line - 4:.1f}"/>')
        parts.append(
            f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="6" fill="{color}"><title>{escape(label)}: {_short(px)}, '
            f"{py:.3f}</title></circle>"
            f'<text class="label" x="{left:.1f}" y="{line:.1f}">{escape(label)}</text>'
        )
    return "".join([*parts, "</svg>"])


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    title: str,
    log: bool = False,
    width: int = 360,
    height: int = 230,
) -> str:
    """Curves under a legend; points that aren't finite (or, on a log axis, positive) are left out.

    Args:
        series: label -> (x values, y values).
        log: whether the y axis is logarithmic.
    """
    curves = {
        label: [(a, b) for a, b in zip(xs, ys, strict=True) if math.isfinite(a + b) and (b > 0 or not log)]
        for label, (xs, ys) in series.items()
    }
    x = _Axis([a for c in curves.values() for a, _ in c], _LEFT, width - _RIGHT)
    y = _Axis([b for c in curves.values() for _, b in c], height - _BOTTOM, _TOP + 12, log=log)
    legend: float = width - _RIGHT
    parts = _frame(x, y, width, height, x_label, y_label, title)
    for i, (label, points) in enumerate(curves.items()):
        color = COLORS[i % len(COLORS)]
        dash = ("", ' stroke-dasharray="6 3"', ' stroke-dasharray="2 3"')[i % 3]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        if len(points) == 1:
            parts.append(f'<circle cx="{x(points[0][0]):.1f}" cy="{y(points[0][1]):.1f}" r="4" fill="{color}"/>')
        parts.append(
            f'<text class="label halo" x="{legend - 24:.0f}" y="11" text-anchor="end">{escape(label)}</text>'
            f'<line x1="{legend - 20:.0f}" x2="{legend:.0f}" y1="7" y2="7" stroke="{color}" '
            f'stroke-width="2"{dash}/>'
        )
        legend -= 42 + 6.8 * len(label)
    return "".join([*parts, "</svg>"])


def bubbles(
    points: Sequence[tuple[str, float, float, float, str]],
    *,
    x_label: str,
    y_label: str,
    size_label: str,
    title: str,
    limit: float | None = None,
    width: int = 520,
    height: int = 330,
) -> str:
    """Points whose area says a third figure, the x axis logarithmic; what a point is stands in its tooltip.

    Args:
        points: (what it is, x > 0, y, size > 0, colour) each.
        size_label: what the area says.
        limit: drawn as an upright line where it lies among the points' x.
        title: for screen readers.
    """
    x = _Axis([p[1] for p in points], _LEFT + 8, width - _RIGHT - 8, log=True)
    y = _Axis([p[2] for p in points], height - _BOTTOM, _TOP + 20)
    largest = max(p[3] for p in points)
    parts = _frame(x, y, width, height, x_label, y_label, title)
    if limit is not None and x.low < math.log10(limit) < x.high:
        at = f"{x(limit):.1f}"
        parts.append(f'<line class="limit" x1="{at}" x2="{at}" y1="{_TOP}" y2="{height - _BOTTOM}"/>')
    for label, px, py, size, color in sorted(points, key=lambda p: -p[3]):
        radius = 3 + 10 * math.sqrt(size / largest)
        parts.append(
            f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="{radius:.1f}" fill="{color}" fill-opacity="0.6" '
            f'stroke="{color}"><title>{escape(label)}</title></circle>'
        )
    parts.append(f'<text class="tick" x="{width - _RIGHT}" y="11" text-anchor="end">{escape(size_label)}</text>')
    return "".join([*parts, "</svg>"])


def parallel(
    columns: Mapping[str, Sequence[float | str]], colors: Sequence[str], *, title: str, height: int = 300
) -> str:
    """Parallel coordinates: an upright axis a column, a line a row, from the bottom (first) to the top (last).

    Args:
        columns: name -> a value for each row. Numbers share a scale (logarithmic where the largest is at least 4 times
            the smallest), text values stand one above the other.
        colors: of each row's line; the last row is drawn last and thicker.
        title: for screen readers.
    """
    spacing, left, top, bottom = 128, 52, 34, height - 16
    width = spacing * len(columns) + left
    places: list[list[float]] = []
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>"
    ]
    labels: list[str] = []
    for i, (name, values) in enumerate(columns.items()):
        at = spacing * i + left
        numbers = [float(v) for v in values if not isinstance(v, str)]
        scale: Mapping[str, float] | _Axis
        if len(numbers) == len(values):
            scale = _Axis(numbers, bottom - 6, top + 6, log=max(numbers) >= 4 * min(numbers) > 0)
            heights = [scale(v) for v in numbers]
            few = sorted(set(numbers)) if len(set(numbers)) < 6 < len(numbers) else scale.ticks()
            marks = [(scale(tick), _short(tick)) for tick in few]
        else:
            known = sorted({str(v) for v in values})
            step = (bottom - top) / (len(known) + 1)
            scale = {value: bottom - step * (k + 1) for k, value in enumerate(known)}
            heights = [scale[str(v)] for v in values]
            marks = [(place, value) for value, place in scale.items()]
        places.append(heights)
        labels.append(f'<line class="leader" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
        labels.append(f'<text class="axis" x="{at}" y="{top - 14}" text-anchor="middle">{escape(name)}</text>')
        for place, said in marks:
            labels.append(f'<text class="tick halo" x="{at + 5}" y="{place + 4:.1f}">{escape(said)}</text>')
    for row, color in enumerate(colors):
        path = " ".join(f"{spacing * i + left},{heights[row]:.1f}" for i, heights in enumerate(places))
        last = row == len(colors) - 1
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{4 if last else 1.5}" '
            f'stroke-opacity="{1 if last else 0.75}"/>'
        )
    return "".join([*parts, *labels, "</svg>"])
