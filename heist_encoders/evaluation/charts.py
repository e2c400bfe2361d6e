"""Charts: matplotlib figures, and how they become inline SVG, the same text for the same data.

Figures are made without pyplot, so nothing is left behind in the process. Widths and heights are CSS pixels. Colours by
Okabe and Ito (2008).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A3D9A", "#000000")
"""Distinguishable with every common kind of colour blindness; every line and point is labelled besides."""
_SHADES = LinearSegmentedColormap.from_list("shades", ("#d95f0e", "#aca8a4", "#0050a0"))
_STYLED = rc_context({"font.family": "DejaVu Sans", "font.size": 9, "axes.labelcolor": "#364152"})
_TIP = "tip: "
"""Begins the gid of an artist that shows the rest of it as its tooltip."""
_BESIDE = ((8, 0, "left"), (-8, 0, "right"), (0, 11, "center"), (0, -11, "center"),
           (8, 11, "left"), (8, -11, "left"), (-8, 11, "right"), (-8, -11, "right"))  # fmt: skip
"""Where a point's label may stand: points to the right, points up, horizontal alignment."""


def shade(share: float) -> str:
    """The colour of a line: orange for 0, grey for one half, blue for 1."""
    return to_hex(_SHADES(share))


@_STYLED
def scatter(
    points: Sequence[tuple[str, float, float, str]], *, x_label: str, y_label: str, width: int = 380, height: int = 330
) -> Figure:
    """Points with their labels, the x axis logarithmic.

    Args:
        points: (label, x > 0, y, colour) each.
    """
    figure, axes = _axes(width, height, x_label, y_label)
    for label, x, y, color in points:
        axes.scatter([x], [y], s=60, color=color, gid=f"{_TIP}{label}: {_short(x)}, {y:.3f}", clip_on=False)
    _log(axes.xaxis, [x for _, x, _, _ in points])
    axes.margins(0.12)
    figure.draw_without_rendering()  # now it is known where the points lie
    taken: list[Bbox] = []
    for label, x, y, _ in sorted(points, key=lambda point: -point[2]):
        for right, up, side in _BESIDE:
            note = axes.annotate(label, (x, y), xytext=(right, up), textcoords="offset points", ha=side, va="center")
            note.set_in_layout(False)
            box = note.get_window_extent()
            fits = figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
            if (fits and not any(box.overlaps(other) for other in taken)) or (right, up, side) == _BESIDE[-1]:
                break
            note.remove()
        taken.append(box)
    return figure


@_STYLED
def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
    width: int = 360,
    height: int = 230,
) -> Figure:
    """Curves over whole numbers, with a legend; points that aren't finite (or, on a log axis, positive) leave a gap.

    Args:
        series: label -> (x values, y values).
        log: whether the y axis is logarithmic.
    """
    figure, axes = _axes(width, height, x_label, y_label)
    for i, (label, (xs, ys)) in enumerate(series.items()):
        color, line = COLORS[i % len(COLORS)], ("-", "--", ":")[i % 3]
        axes.plot(xs, ys, color=color, linestyle=line, marker="." if len(xs) < 40 else "", label=label, clip_on=False)
    if log:
        _log(axes.yaxis, [y for _, ys in series.values() for y in ys])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    if series:
        axes.legend(frameon=False)
    return figure


@_STYLED
def bubbles(
    points: Sequence[tuple[str, float, float, float, str]],
    *,
    x_label: str,
    y_label: str,
    limit: float | None = None,
    width: int = 520,
    height: int = 330,
) -> Figure:
    """Points whose area says a third figure, the x axis logarithmic; what a point is stands in its tooltip.

    Args:
        points: (what it is, x > 0, y, size > 0, colour) each.
        limit: drawn as an upright line where it lies among the points' x.
    """
    figure, axes = _axes(width, height, x_label, y_label)
    reached, largest = [point[1] for point in points], max(point[3] for point in points)
    for label, x, y, size, color in sorted(points, key=lambda point: -point[3]):
        axes.scatter([x], [y], s=10 + 240 * size / largest, color=color, alpha=0.6, gid=_TIP + label, clip_on=False)
    _log(axes.xaxis, reached)
    if limit is not None and min(reached) < limit < max(reached):
        axes.axvline(limit, color="#b84a08", linestyle="--", clip_on=False)
    axes.margins(0.08)
    return figure


@_STYLED
def parallel(columns: Mapping[str, Sequence[float | str]], colors: Sequence[str], *, height: int = 300) -> Figure:
    """Parallel coordinates: an upright axis a column, a line a row, from the bottom (first) to the top (last).

    Args:
        columns: two or more, name -> a value for each row. Numbers share a scale (logarithmic where the largest is at
            least 10 times the smallest), text values stand one above the other.
        colors: of each row's line; the last row is drawn last and thicker.
    """
    figure, host = _axes(130 * len(columns), height, "", "")
    host.set(xlim=(0, len(columns) - 1), ylim=(0, 1), xticks=range(len(columns)), xticklabels=list(columns), yticks=[])
    host.xaxis.tick_top()
    heights = []
    for i, values in enumerate(columns.values()):
        axes = host.twinx()
        axes.spines[:].set_visible(False)
        axes.spines["right"].set(visible=True, position=("axes", i / (len(columns) - 1)), color="#9aa4b0")
        axes.tick_params(length=0, labelsize=8, labelcolor="#5b6675")
        numbers = [float(v) for v in values if not isinstance(v, str)]
        if len(numbers) < len(values):
            known = sorted({str(v) for v in values})
            numbers = [float(known.index(str(v))) for v in values]
            axes.set(ylim=(-0.5, len(known) - 0.5), yticks=range(len(known)), yticklabels=known)
        else:
            axes.update_datalim([(0, min(numbers)), (0, max(numbers))], updatex=False)
            if max(numbers) >= 10 * min(numbers) > 0:
                _log(axes.yaxis, numbers)
            axes.yaxis.set_major_formatter(FuncFormatter(_short))
            if len(set(numbers)) < 6 < len(numbers):
                axes.set_yticks(sorted(set(numbers)))
            axes.autoscale_view(scalex=False)
        heights.append((axes.transScale + axes.transLimits).transform([(0.0, number) for number in numbers])[:, 1])
    for row, color in enumerate(colors):
        best = row == len(colors) - 1
        line, alpha = (3.0, 1.0) if best else (1.2, 0.75)
        across = [column[row] for column in heights]
        host.plot(range(len(columns)), across, color=color, linewidth=line, alpha=alpha, clip_on=False)
    return figure


def _axes(width: int, height: int, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """A figure of so many CSS pixels with empty axes; 72 dots an inch, as SVG has."""
    figure = Figure(figsize=(width / 96, height / 96), dpi=72, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none", xlabel=x_label, ylabel=y_label)
    axes.spines[:].set_visible(False)
    axes.grid(color="#e8ecf0", clip_on=False)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor="#5b6675")
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    return figure, axes


def _log(axis: XAxis | YAxis, values: Sequence[float]) -> None:
    """Make an axis logarithmic, with ticks at round numbers: the more, the less it spans."""
    usable = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    span = max(usable) / min(usable)
    subs = (1, 1.5, 2, 3, 4, 5, 6, 8) if 1 < span < 5 else (1, 2, 5) if span < 150 else (1,)
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", nonpositive="mask")
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_short))


def _short(value: float, _: int = 0) -> str:
    """A tick's label: 0.0003, 50, 20k, 1.5M."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:.4g}"


def svg(figure: Figure, title: str) -> str:
    """A figure as an element of an HTML page: no name spaces, and no ids but those that it uses itself.

    Args:
        title: for screen readers; no two charts of a page have the same.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())
    root.remove(root[0])  # a style sheet, which would hold for the whole page
    nodes = list(root.iter())
    for node in nodes:
        node.tag = node.tag.rpartition("}")[2]
        node.attrib = {name.rpartition("}")[2]: value for name, value in node.attrib.items()}
    used = {node.get("href", "")[1:] for node in nodes}
    for node in nodes:
        name = node.get("id", "")
        if name.startswith(_TIP):
            _tooltip(node, name.removeprefix(_TIP))
        if name not in used:
            node.attrib.pop("id", None)
    root.set("role", "img")
    root.set("style", f"min-width: {0.7 * 96 * figure.get_figwidth():.0f}px")  # on a narrow screen it scrolls instead
    _tooltip(root, title)
    return ElementTree.tostring(root, encoding="unicode", method="html")


def _tooltip(node: ElementTree.Element, text: str) -> None:
    """The first child of an element says what it is: to a screen reader, and where the pointer rests."""
    title = ElementTree.Element("title")
    title.text = text
    node.insert(0, title)
