"""The report's section on sweeps: what was tried, what came out, and what of it mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.markup import figure, number, table, text

_MOST_AXES = 10


def sweep_section(sweeps: Mapping[str, Any] | None) -> str:
    """The trials of each sweep, with their plots, folded away if there are several.

    Args:
        sweeps: name -> a ``SweepResult``; or only its trials, best first: a DataFrame or a sequence of mappings.
    """
    if not sweeps:
        return ""
    parts = []
    for name, sweep in sweeps.items():
        rows = _rows(getattr(sweep, "table", sweep))
        plots = _plots(str(name), rows, sweep.plan) if hasattr(sweep, "plan") else ""
        parts.append(
            f"<details{' open' if len(sweeps) == 1 else ''}><summary>{text(name)}: {len(rows)} trials</summary>"
            f"{plots}{table(rows)}</details>"
        )
    return f'<section id="sweeps"><h2>Sweeps</h2><p>All trials of each sweep.</p>{"".join(parts)}</section>'


def _rows(rows: Any) -> list[dict[str, Any]]:
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        rows = rows.to_dict("records")
    return [dict(row) for row in rows]


def _plots(name: str, rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> str:
    """Both plots over the trials that got as far as a figure."""
    metric = plan["objective"]["metric"]
    reported = [row for row in rows if figure(row, metric) is not None and (figure(row, "epoch") or 0) > 0]
    if len(reported) < 2:
        return ""
    return _cost(name, reported, plan) + _parallel(name, reported, plan)


def _cost(name: str, rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> str:
    """The metric against latency, the area a trial's latent dimension."""
    metric, limit = plan["objective"]["metric"], plan["objective"]["max_latency_ms"]
    points = []
    for row in rows:
        latency, size, value = figure(row, "latency_ms"), figure(row, "latent_dimension"), figure(row, metric)
        if latency and size and value is not None:
            said = f"trial {row['trial']}: {metric} {value:.3f}, latent dimension {size:,.0f}, {latency:.2f} ms"
            color = "#D55E00" if not row["feasible"] else "#0072B2" if row["status"] == "done" else "#56B4E9"
            points.append((said, latency, value, size, color))
    if not points:
        return ""
    chart = charts.bubbles(
        points,
        x_label="milliseconds a frame, one CPU thread",
        y_label=metric,
        size_label="area: latent dimension",
        title=f"{metric} of {name} against latency and size",
        limit=limit,
    )
    return (
        f"<figure>{chart}<figcaption>Dark blue: trained to the end; light blue: stopped early; orange: over a limit "
        f"({plan['objective']['max_latent_dimension']:,} dimensions, {limit:g} ms).</figcaption></figure>"
    )


def _parallel(name: str, rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> str:
    """Parallel coordinates of the searched values and the metric; the best trial drawn last."""
    metric = plan["objective"]["metric"]
    rows = list(reversed(rows))
    varied = [key for key in plan["searched"] if len({str(row.get(key)) for row in rows}) > 1][:_MOST_AXES]
    if not varied:
        return ""
    columns: dict[str, list[float | str]] = {
        key.removeprefix("params.").removeprefix("loss."): [_value(row.get(key)) for row in rows] for key in varied
    }
    values = [figure(row, metric) or 0.0 for row in rows]
    low, high = min(values), max(values)
    shares = [(value - low) / (high - low) if high > low else 1.0 for value in values]
    if metric == "test_loss":
        shares = [1 - share for share in shares]
    chart = charts.parallel(
        {**columns, metric: list(values)}, [_shade(share) for share in shares], title=f"What {name} tried"
    )
    best = number(figure(rows[-1], metric), ".3f")
    return (
        f"<figure>{chart}<figcaption>A line a trial, from what was searched (left) to {text(metric)} (right); from "
        f"orange, the worst, to blue. The thick one is the best trial ({best}). Only values that varied.</figcaption>"
        "</figure>"
    )


def _value(value: Any) -> float | str:
    """Numbers as they are, all else (lists, names, nothing) as text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return "×".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(value)


def _shade(share: float) -> str:
    """The colour of a line: orange for 0, grey for one half, blue for 1."""
    low, middle, high = (217, 95, 14), (172, 168, 164), (0, 80, 160)
    ends, share = ((low, middle), share * 2) if share < 0.5 else ((middle, high), share * 2 - 1)
    r, g, b = (round(x + (y - x) * share) for x, y in zip(*ends, strict=True))
    return f"rgb({r},{g},{b})"
