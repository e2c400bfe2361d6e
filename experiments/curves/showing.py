"""The figure and the tables: docs/curves.png, docs/curves.md and a part of README.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from pages import put
from scipy import stats

from curves.runs import SHAPED_STEPS, Run
from curves.store import Point, Store
from heist_encoders.files import whole_file

PUBLISHED = {1: 2.90, 2.5: 3.3, 5: 3.49, 10: 4.33, 15: 5.30, 20: 6.34, 25: 7.13, 50: 9.33}
"""Millions of steps -> published mean return of PPO, IMPALA network on pixels, easy mode, unlimited levels."""
MEASURES = {
    "miou": "mIoU", "plan_accuracy": "plan accuracy", "presence_f1": "presence F1 by an MLP",
    "linear_presence_f1": "linear presence F1", "linear_subgoal_accuracy": "linear subgoal accuracy",
    "decoded_success": "decoded success",
}  # fmt: skip
KEYS = ("0", "1", "2", "3")
OUTCOMES = {"clone": "BC success", "own": "self-imitation success", "ppo": "PPO return"}
"""Method of a run -> what says how good its encoder is."""
ORDER = "DCBA–"
STYLES = {"D": "-", "C": "-", "B": "-.", "A": "-.", "–": ":"}
MARKERS = {"D": "o", "C": "s", "B": "v", "A": "v", "–": ""}


def show(runs: Sequence[Run], stores: Mapping[str, Store], docs: Path) -> str:
    """Write all that can be shown of what was played so far; the tables as text."""
    points = {run.name: stores[run.name].points() for run in runs}
    known = [run for run in runs if points[run.name]]
    if not known:
        return "nothing was played yet"
    known.sort(key=lambda run: (ORDER.index(run.grade), -points[run.name][-1].figures["return_mean"]))
    elsewhere = [run for run in known if run.mode != "easy"]
    known = [run for run in known if run.mode == "easy"]
    draw(known, points, docs / "curves.png")
    text = table(known, points)
    if elsewhere:
        text += "\n\n" + table(elsewhere, points, published=False)
    missing = [run.name for run in runs if not points[run.name]]
    if missing:
        text += f"\n\nNot run yet: {'; '.join(missing)}."
    text += "\n\n" + correlations(known, points)
    put(docs / "curves.md", "curves", text)
    put(docs.parent / "README.md", "curves", short_table([run for run in known if in_readme(run)], points))
    return text


def in_readme(run: Run) -> bool:
    """The headline's runs, and what they are compared with; the other encoders stand in the documentation."""
    return (run.headline and not run.seed) or run.method in ("policy", "random")


def interval(low: float, high: float, digits: int) -> str:
    return f"{low:.{digits}f} to {high:.{digits}f}"


def name_of(run: Run, point: Point) -> str:
    """A run's name; of one that has not seen all of its frames yet, it says so."""
    return f"{run.name}, so far" if run.method in ("clone", "own") and point.amount < run.amount else run.name


def returned(figures: Mapping[str, Any]) -> str:
    """``9.65 (9.54 to 9.76)``."""
    low, high = figures["return_interval"]
    return f"{figures['return_mean']:.2f} ({interval(max(0.0, low), min(10.0, high), 2)})"


def counts(run: Run, point: Point) -> tuple[str, str, str, str]:
    """Frames of the encoder, labelled frames, environment steps and minutes, as text."""
    frames = f"{run.encoder_frames:,}{' with labels' if run.encoder_labels else ''}" if run.encoder else "–"
    labelled = f"{point.amount:,}" if run.grade == "D" else "0"
    steps = f"{point.amount:,}" if run.method in ("ppo", "own") else "0" if run.method == "random" else "–"
    return frames, labelled, steps, f"{point.seconds / 60:.0f}" if point.seconds else "–"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def table(runs: Sequence[Run], points: Mapping[str, list[Point]], *, published: bool = True) -> str:
    """A row for the newest policy of each run, and what is published for easy mode."""
    head = (
        "class", "policy", "frames that trained the encoder", "labelled frames", "steps", "minutes of learning",
        "mean return (95%)", "success (95%)", "0 keys", "1 key", "2 keys", "3 keys", "levels",
    )  # fmt: skip
    rows = []
    for run in runs:
        point = points[run.name][-1]
        figures = point.figures
        parts = figures["by_num_keys"]
        rows.append(
            (
                run.grade, name_of(run, point), *counts(run, point), returned(figures),
                f"{figures['success_rate']:.3f} ({interval(*figures['success_interval'], 3)})",
                *(f"{parts[key]['success_rate']:.2f}" if key in parts else "–" for key in KEYS),
                f"{figures['num_levels']:,}",
            )
        )  # fmt: skip
    for millions in (1, 5, 25, 50) if published else ():
        rows.append(
            (
                "A", "*PPO, pixels, IMPALA network, published*", "–", "0", f"{millions * 1_000_000:,}", "–",
                f"{PUBLISHED[millions]:.2f}", *["–"] * 6,
            )
        )  # fmt: skip
    return markdown(head, rows)


def short_table(runs: Sequence[Run], points: Mapping[str, list[Point]]) -> str:
    """The README's: fewer rows and columns."""
    rows = []
    for run in runs:
        point = points[run.name][-1]
        _, labelled, steps, _ = counts(run, point)
        figures = point.figures
        rows.append(
            (run.grade, name_of(run, point), labelled, steps, returned(figures), f"{figures['success_rate']:.1%}")
        )
    return markdown(("class", "policy", "labelled frames", "steps", "mean return (95%)", "success"), rows)


def correlations(runs: Sequence[Run], points: Mapping[str, list[Point]]) -> str:
    """Whether probes predict how well a policy plays: the encoders' figures, and Spearman's rank correlations."""
    of_encoder: dict[str, dict[str, float | None]] = {}
    for run in runs:
        if run.encoder is None or not run.compared:
            continue
        figures_of = {**run.encoder.metrics.get("probes", {}), **(run.encoder.metrics.get("play") or {})}
        row = of_encoder.setdefault(run.source, {name: figures_of.get(name) for name in MEASURES})
        figures = points[run.name][-1].figures
        row[OUTCOMES[run.method]] = figures["return_mean" if run.method == "ppo" else "success_rate"]
    shaped = f"PPO return after {SHAPED_STEPS:,} steps with shaping"
    names = {**MEASURES, **{name: name for name in OUTCOMES.values()}, "PPO return": shaped}
    rows = [
        (source, *("–" if row.get(name) is None else f"{row[name]:.3f}" for name in names))
        for source, row in sorted(of_encoder.items(), key=lambda item: -(item[1].get("BC success") or 0.0))
    ]
    predictors = (*MEASURES, *list(OUTCOMES.values())[:-1])
    said = [
        (names[measure], *(rank_correlation(of_encoder.values(), measure, outcome) for outcome in OUTCOMES.values()))
        for measure in predictors
    ]
    head = ("rank correlation (Spearman) with", *OUTCOMES.values())
    return markdown(("encoder", *names.values()), rows) + "\n\n" + markdown(head, said)


def rank_correlation(rows: Iterable[Mapping[str, float | None]], measure: str, outcome: str) -> str:
    """Spearman's, and over how many rows that have both; a dash for a figure with itself or fewer than three."""
    pairs = [(row[measure], row[outcome]) for row in rows if None not in (row.get(measure), row.get(outcome))]
    if measure == outcome or len(pairs) < 3:
        return "–"
    return f"{stats.spearmanr(*zip(*pairs, strict=True)).statistic:+.2f} (n = {len(pairs)})"


def draw(runs: Sequence[Run], points: Mapping[str, list[Point]], file: Path) -> None:
    """Return over what was learned from and over time, and success by number of keys."""
    figure = pyplot.figure(figsize=(15, 10.5), layout="constrained")
    grid = figure.add_gridspec(2, 12, height_ratios=[1.35, 1])
    steps, minutes = figure.add_subplot(grid[0, :6]), figure.add_subplot(grid[0, 6:])
    by_keys = [figure.add_subplot(grid[1, 3 * number : 3 * number + 3]) for number in range(4)]
    lines = iter((":", (0, (1, 4)), (0, (5, 5))))
    colors = [*pyplot.get_cmap("tab20").colors[::2], *pyplot.get_cmap("tab20").colors[1::2]]
    for run, color in zip(runs, colors * 3, strict=False):
        found = points[run.name]
        label = f"{run.grade}: {run.name}"
        if run.method == "random":
            figures, line = found[-1].figures, next(lines)
            for axis in (steps, minutes):
                flat(axis, figures["return_mean"], figures["return_interval"], label, line)
            for key, axis in zip(KEYS, by_keys, strict=True):
                if key in figures["by_num_keys"]:
                    part = figures["by_num_keys"][key]
                    flat(axis, part["success_rate"], part["success_interval"], None, line)
            continue
        style = {
            "color": color, "linestyle": STYLES[run.grade], "marker": MARKERS[run.grade], "markersize": 4,
            "linewidth": 2.0 if run.headline else 1.0, "label": label,
        }  # fmt: skip
        if run.method == "policy":
            style |= {"marker": "*", "markersize": 14}
        figures_of = [point.figures for point in found]
        curve(steps, [point.amount for point in found], figures_of, "return", style)
        timed = [(point, figures) for point, figures in zip(found, figures_of, strict=True) if point.seconds]
        curve(minutes, [point.seconds / 60 for point, _ in timed], [figures for _, figures in timed], "return", style)
        for key, axis in zip(KEYS, by_keys, strict=True):
            if run.headline or run.method == "policy":
                own = [
                    (p.amount, f["by_num_keys"][key])
                    for p, f in zip(found, figures_of, strict=True)
                    if key in f["by_num_keys"]
                ]
                curve(axis, [x for x, _ in own], [part for _, part in own], "success", style)
    millions = list(PUBLISHED)
    steps.plot(
        [1e6 * million for million in millions], [PUBLISHED[million] for million in millions], "k--", linewidth=1.5,
        label="A: PPO, pixels, IMPALA network (published figures)",
    )  # fmt: skip
    unit = "labelled frames (class D) or frames played (others)"
    steps.set(xscale="log", xlabel=unit, title="Classes C and D do not compare with the dashed line (class A)")
    minutes.set(
        title="By time: each run ends where its time or its frames end",
        xlabel="minutes of learning on one core (processor time; evaluation and the encoder's training not included)",
    )
    minutes.set_xlim(left=0)
    for axis in (steps, minutes):
        axis.set(ylim=(0, 10.2), ylabel="mean return, whole episodes from true starts")
    for number, axis in enumerate(by_keys):
        axis.set(xscale="log", ylim=(-0.02, 1.02), title=f"{number} key{'s' * (number != 1)}", xlabel="frames or steps")
        axis.set_xlim(steps.get_xlim())
    by_keys[0].set_ylabel("success rate")
    for axis in (steps, minutes, *by_keys):
        axis.grid(alpha=0.3)
    handles, labels = steps.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle("Easy mode, levels that no training saw. Bands: 95% over episodes. Classes: see the table")
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as temporary:
        figure.savefig(temporary, dpi=95)
    pyplot.close(figure)


def curve(
    axis: Any, xs: Sequence[float], figures: Sequence[Mapping[str, Any]], what: str, style: dict[str, Any]
) -> None:
    """A line with its band; of a single point, with its bar."""
    if not xs:
        return
    ys = [figure["return_mean" if what == "return" else "success_rate"] for figure in figures]
    ends = [
        [end if math.isfinite(end) else y for end in f[f"{what}_interval"]] for f, y in zip(figures, ys, strict=True)
    ]
    low, high = zip(*ends, strict=True)
    axis.plot(xs, ys, **style)
    if len(xs) > 1:
        axis.fill_between(xs, low, high, color=style["color"], alpha=0.12, linewidth=0)
    else:
        axis.vlines(xs, low, high, color=style["color"], alpha=0.5)


def flat(axis: Any, value: float, ends: Sequence[float], label: str | None, line: Any) -> None:
    """What does not learn, as a level line."""
    axis.axhline(value, color="0.45", linestyle=line, label=label)
    axis.axhspan(*ends, color="0.45", alpha=0.12, linewidth=0)
