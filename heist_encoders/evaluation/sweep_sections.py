"""The report's section on sweeps: what was tried, what came out, and what of it mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.figures import Sweep, Table
from heist_encoders.evaluation.markup import figure, number, records, table
from heist_encoders.json_text import JsonObject

_MOST_AXES = 10


def sweep_sections(sweeps: Mapping[str, Sweep | Table]) -> list[dict[str, object]]:
    """The trials of each sweep, as a table and in plots.

    Args:
        sweeps: name -> a ``SweepResult``; or only its trials, best first: a DataFrame or a sequence of mappings.

    Returns:
        For each ``name``, ``count`` of trials, ``table``, and ``plots``: chart, caption.
    """
    found = []
    for name, sweep in sweeps.items():
        if isinstance(sweep, pd.DataFrame | Sequence):
            rows, plots = records(sweep), []
        else:
            rows = records(sweep.table)
            plots = _plots(str(name), rows, sweep.plan)
        found.append({"name": name, "count": len(rows), "table": table(rows), "plots": plots})
    return found


def _plots(name: str, rows: Sequence[Mapping[str, object]], plan: JsonObject) -> list[tuple[str, str]]:
    """Both plots over the trials that got as far as a figure."""
    metric = plan["objective"]["metric"]
    reported = [row for row in rows if figure(row, metric) is not None and (figure(row, "epoch") or 0) > 0]
    if len(reported) < 2:
        return []
    return [plot for plot in (_cost(name, reported, plan), _parallel(name, reported, plan)) if plot]


def _cost(name: str, rows: Sequence[Mapping[str, object]], plan: JsonObject) -> tuple[str, str] | None:
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
        return None
    chart = charts.bubbles(
        points,
        x_label="milliseconds a frame, one CPU thread",
        y_label=metric,
        limit=limit,
    )
    return charts.svg(chart, f"{metric} of {name} against latency and size"), (
        "The larger a circle, the larger the latent dimension. Dark blue: trained to the end; light blue: stopped "
        f"early; orange: over a limit ({plan['objective']['max_latent_dimension']:,} dimensions, {limit:g} ms)."
    )


def _parallel(name: str, rows: Sequence[Mapping[str, object]], plan: JsonObject) -> tuple[str, str] | None:
    """Parallel coordinates of the searched values and the metric; the best trial drawn last."""
    metric = plan["objective"]["metric"]
    rows = list(reversed(rows))
    varied = [key for key in plan["searched"] if len({str(row.get(key)) for row in rows}) > 1][:_MOST_AXES]
    if not varied:
        return None
    columns: dict[str, list[float | str]] = {
        key.removeprefix("params.").removeprefix("loss."): [_value(row.get(key)) for row in rows] for key in varied
    }
    values = [figure(row, metric) or 0.0 for row in rows]
    low, high = min(values), max(values)
    shares = [(value - low) / (high - low) if high > low else 1.0 for value in values]
    if metric == "test_loss":
        shares = [1 - share for share in shares]
    chart = charts.parallel({**columns, metric: list(values)}, [charts.shade(share) for share in shares])
    return charts.svg(chart, f"What {name} tried"), (
        f"A line a trial, from what was searched (left) to {metric} (right); from orange, the worst, to blue. The "
        f"thick one is the best trial ({number(figure(rows[-1], metric), '.3f')}). Only values that varied."
    )


def _value(value: object) -> float | str:
    """Numbers as they are, all else (lists, names, nothing) as text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return "×".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(value)
