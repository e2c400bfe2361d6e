"""What each section of the report shows, as plain data for its template. Nothing here reads or writes a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.figures import Metrics
from heist_encoders.evaluation.markup import (
    KEPT,
    LOST,
    class_colors,
    data_uri,
    figure,
    grouped_iou,
    label,
    number,
    palette,
    picture,
    table,
)
from heist_encoders.evaluation.pictures import loss_figure
from heist_encoders.json_text import JsonObject
from heist_encoders.semantic import UNKNOWN
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset
    from heist_encoders.evaluation.entries import Entry
    from heist_encoders.evaluation.examples import Examples
    from heist_encoders.evaluation.frames import Indices

Picture = npt.NDArray[np.uint8]
_LATENCY = ("speed", "cpu", "encoder", "1", "median_ms")
_FILMS = {".mp4": "video/mp4", ".gif": "image/gif"}
_COSTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("MSE", ("reconstruction", "mse"), ".4f"),
    ("MSE on objects", ("reconstruction", "object_mse"), ".4f"),
    ("PSNR, dB", ("reconstruction", "psnr"), ".1f"),
    ("SSIM", ("reconstruction", "ssim"), ".3f"),
    ("active units", ("reconstruction", "active_units"), ",.0f"),
    ("latent dimension", ("latent_dimension",), ",.0f"),
    ("weights", ("parameters",), ",.0f"),
    ("encoder, ms, one frame", _LATENCY, ".2f"),
    ("encoder, ms, 64 frames", ("speed", "cpu", "encoder", "64", "median_ms"), ".1f"),
    ("all of it, ms, one frame", ("speed", "cpu", "model", "1", "median_ms"), ".2f"),
    ("encoder, GPU, ms, 64 frames", ("speed", "cuda", "encoder", "64", "median_ms"), ".2f"),
)
"""Head of a column, where its figure stands in an evaluation, and how it is printed."""


def facts(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """The answer in a few figures: (figure, what it is). ``entries`` come best first."""
    best = entries[0]
    found = [
        (str(len(entries)), "autoencoder" if len(entries) == 1 else "autoencoders"),
        (number(figure(best.metrics, "probes", "miou")), f"best mIoU: {best.name}"),
        (number(figure(best.metrics, "latent_dimension"), ",.0f"), "its latent dimension; a frame has 12,288"),
    ]
    planned = [(p, e.name) for e in entries if (p := figure(e.metrics, "probes", "plan_accuracy")) is not None]
    if planned:
        found.append((number(max(planned)[0]), f"best plan accuracy: {max(planned)[1]}"))
    by_group = [grouped_iou(entry.metrics.get("probes") or {}) for entry in entries]
    missed = {
        name: sum(value is not None and value < LOST for value in (iou.get(name) for iou in by_group))
        for name in by_group[0]
    }
    if missed and max(missed.values()):
        worst = max(missed, key=lambda name: missed[name])
        found.append((worst, f"missed most often: IoU under {LOST:g} in {missed[worst]} of {len(entries)}"))
    return found


def all_references(entries: Sequence[Entry], given: Sequence[JsonObject] | None) -> list[tuple[str, JsonObject]]:
    """Reference rows by name: those given, then those that the evaluations brought.

    A name comes once; an untrained encoder that reads differently, being of other sizes, has its artifact's.
    """
    rows: dict[str, JsonObject] = {str(row.get("name", "reference")): row for row in given or ()}
    for entry in entries:
        for key, row in (entry.metrics.get("references") or {}).items():
            name = (
                f"{entry.architecture}, untrained"
                if key == "untrained"
                else str(row.get("name") or key.replace("_", " "))
            )
            if key == "untrained" and name in rows and figure(rows[name], "miou") != figure(row, "miou"):
                name = f"{entry.name}, untrained"
            rows.setdefault(name, row)
    return sorted(rows.items(), key=lambda row: -(figure(row[1], "miou") or 0.0))


class Row(TypedDict):
    """An artifact or a reference in the tables."""

    name: str
    architecture: str
    color: str | None
    """None of a reference."""
    metrics: Metrics | JsonObject
    probes: JsonObject


def ranking(
    entries: Sequence[Entry], references: Iterable[tuple[str, JsonObject]], colors: Mapping[str, str]
) -> dict[str, object]:
    """All artifacts, best first, with the reference rows below: what the leaderboard and the other probes show.

    Returns:
        ``rows``, each a ``Row``; ``groups`` of classes; ``targets``: figure -> title of the task's probe targets, as
        far as there are any.
    """
    rows: list[Row] = [
        {"name": e.name, "architecture": e.architecture, "color": colors[e.architecture], "metrics": e.metrics,
         "probes": e.metrics.get("probes") or {}}
        for e in entries
    ]  # fmt: skip
    rows += [{"name": name, "architecture": name, "color": None, "metrics": r, "probes": r} for name, r in references]
    targets = task_of(entries[0].game).probe_targets()
    titles = {name: title for target in targets for name, title in target.figures.items()}
    return {
        "rows": rows,
        "latency": _LATENCY,
        "groups": list(dict.fromkeys(group for row in rows for group in grouped_iou(row["probes"]))),
        "targets": {n: t for n, t in titles.items() if any(figure(row["probes"], n) is not None for row in rows)},
    }


def scenes(entries: Sequence[Entry]) -> dict[str, object] | None:
    """For each artifact: originals, the semantic map that the probe reads, and what is missing in it, in colour."""
    shown = [entry for entry in entries if entry.examples is not None and entry.examples.maps.size]
    if not shown:
        return None
    colors = class_colors(task_of(shown[0].game).classes)
    return {"classes": colors, "cards": [_scene_card(entry) for entry in shown], "read": KEPT, "missed": LOST}


def packaged(entries: Sequence[Entry], distribution_mode: str) -> list[tuple[str, str, int]]:
    """The first entry's example frames, and what each packaged encoder of a mode makes of them.

    Returns:
        (name, image as a data URI, width in pixels) of each row of pictures; empty without examples.
    """
    from heist_encoders.evaluation.entries import packaged_reconstructions

    examples = next((entry.examples for entry in entries if entry.examples is not None), None)
    if examples is None:
        return []
    frames = examples.frames[_of_each_element(examples)]
    rows = {"frame": frames, **packaged_reconstructions(distribution_mode, frames)}
    return [(name, picture(_beside(strip)), len(strip) * 67 - 3) for name, strip in rows.items()]


def _of_each_element(examples: Examples) -> Indices:
    """int64 (M,): one example of each element, at most 8."""
    rows: Indices = np.concatenate([examples.of(i)[:1] for i in sorted(set(examples.element.tolist()))])[:8]
    return rows


def _scene_card(entry: Entry) -> dict[str, object]:
    examples = entry.examples
    assert examples is not None
    chosen = _of_each_element(examples)
    colors = palette(task_of(entry.game).classes)
    actual, read = examples.maps[chosen], examples.read_maps[chosen]
    known = actual != UNKNOWN
    wrong = np.where((known & (actual != read))[..., None], colors[np.where(known, actual, 0)], np.uint8(238))
    block = 64 // max(1, actual.shape[-1])
    strips = (
        ("frame", "", examples.frames[chosen]),
        ("reconstruction", entry.note, examples.reconstructions[chosen]),
        ("read from the encoding", "", colors[read].repeat(block, 1).repeat(block, 2)),
        ("wrong there", "", wrong.repeat(block, 1).repeat(block, 2)),
    )
    probes = entry.metrics.get("probes") or {}
    return {
        "name": entry.name,
        "probes": probes,
        "verdict": verdict(probes),
        "strips": [(name, note, picture(_beside(frames)), len(frames) * 67 - 3) for name, note, frames in strips],
    }


def _beside(frames: Picture) -> Picture:
    """Pictures (N, 64, 64, 3) in a row, 3 white pixels between them: (64, N * 67 - 3, 3)."""
    apart = np.pad(frames, ((0, 0), (0, 0), (0, 3), (0, 0)), constant_values=255)
    row: Picture = np.concatenate(list(apart), 1)[:, :-3]
    return row


def verdict(probes: JsonObject) -> dict[str, list[str]]:
    """Which classes the probe reads, which half, which it misses, by IoU; groups without any are left out."""
    groups: dict[str, list[str]] = {"Read": [], "Half read": [], "Missed": []}
    for name, value in (probes.get("iou") or {}).items():
        if value is not None:
            group = "Missed" if value < LOST else "Read" if value >= KEPT else "Half read"
            groups[group].append(f"{label(str(name))} ({value:.2f})")
    return {group: things for group, things in groups.items() if things}


def costs(entries: Sequence[Entry]) -> list[tuple[str, tuple[str, ...], str]]:
    """The columns of reconstruction errors, sizes and times that any artifact has a figure for."""
    return [c for c in _COSTS if any(figure(entry.metrics, *c[1]) is not None for entry in entries)]


def trade_offs(entries: Sequence[Entry], colors: Mapping[str, str]) -> list[tuple[str, str]]:
    """mIoU against latency, latent dimension and reconstruction error: charts and captions."""
    axes = (
        (_LATENCY, "milliseconds a frame, one CPU thread", "Up and left is better."),
        (("latent_dimension",), "latent dimension", "Up and left is better: more is read from fewer numbers."),
        (
            ("reconstruction", "mse"),
            "MSE of the reconstruction, all pixels",
            "If MSE said the same as mIoU, the points would fall from left to right.",
        ),
    )
    plots = []
    for path, name, caption in axes:
        points = []
        for entry in entries:
            x, y = figure(entry.metrics, *path), figure(entry.metrics, "probes", "miou")
            if x is not None and y is not None and x > 0:
                points.append((entry.name, x, y, colors[entry.architecture]))
        if points:
            chart = charts.scatter(points, x_label=name, y_label="mIoU")
            plots.append((charts.svg(chart, f"mIoU against {name}"), caption))
    return plots


def training_curves(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Name and chart of train and test loss per epoch of each artifact whose training is known."""
    return [
        (entry.name, charts.svg(loss_figure(entry.history, ("train_loss", "test_loss")), f"Loss of {entry.name}"))
        for entry in entries
        if any(figure(epoch, "train_loss") is not None for epoch in entry.history)
    ]


def ppo(given: JsonObject) -> dict[str, object]:
    """Returns of PPO while it learns, and a table of final ones."""
    chart = None
    if given.get("curves"):
        curves = {str(name): (list(curve["steps"]), list(curve["returns"])) for name, curve in given["curves"].items()}
        drawn = charts.lines(curves, x_label="environment steps", y_label="mean episode return", width=760, height=320)
        chart = charts.svg(drawn, "PPO")
    return {"text": given.get("text"), "chart": chart, "table": table(given["table"]) if given.get("table") else None}


def film(video: JsonObject | None) -> dict[str, object] | None:
    """A film of a policy that plays, as a data URI, and what it shows in words."""
    if video is None:
        return None
    path = Path(video["path"])
    return {
        "source": data_uri(path.read_bytes(), _FILMS[path.suffix]),
        "still": path.suffix == ".gif",
        "words": f"Level {video['level_seed']} with {video['num_keys']} keys, solved in {video['length']} steps: the "
        "frame, and what the autoencoder's decoder makes of the encoding that the policy acts on.",
    }


def about(dataset: Dataset | Mapping[str, object]) -> dict[str, object]:
    """What the encoders were evaluated on: a mapping as it is, or the facts of a ``Dataset``."""
    if isinstance(dataset, Mapping):
        return dict(dataset)
    return {**dataset.spec.to_dict(), "frames": len(dataset), "sha256": dataset.hash}
