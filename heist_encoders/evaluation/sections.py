"""The sections of the report, each a function from plain data to HTML. Nothing here reads or writes a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.markup import (
    KEPT,
    LOST,
    class_color,
    colors,
    data_uri,
    figure,
    grouped_iou,
    heat,
    label,
    number,
    swatch,
    table,
    text,
)
from heist_encoders.semantic import UNKNOWN
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    from heist_encoders.evaluation.entries import Entry

Picture = npt.NDArray[np.uint8]


def introduction(entries: Sequence[Entry], title: str) -> str:
    """Headline, what was measured, and the answer in a few figures. ``entries`` come best first."""
    best = entries[0]
    facts = [
        (str(len(entries)), "autoencoder" if len(entries) == 1 else "autoencoders"),
        (number(figure(best.metrics, "probes", "miou")), f"best mIoU: {best.name}"),
        (number(figure(best.metrics, "latent_dimension"), ",.0f"), "its latent dimension; a frame has 12,288"),
    ]
    planned = [(p, e.name) for e in entries if (p := figure(e.metrics, "probes", "plan_accuracy")) is not None]
    if planned:
        facts.append((number(max(planned)[0]), f"best plan accuracy: {max(planned)[1]}"))
    lost = {
        name: sum(_lost(entry, name) for entry in entries) for name in grouped_iou(best.metrics.get("probes") or {})
    }
    if lost and max(lost.values()):
        worst = max(lost, key=lambda name: lost[name])
        facts.append((worst, f"lost most often: IoU under {LOST:g} in {lost[worst]} of {len(entries)}"))
    cells = "".join(f'<div class="fact"><b>{text(a)}</b><span class="soft">{text(b)}</span></div>' for a, b in facts)
    return f"""<header><h1>{text(title)}</h1>
<p class="lead">An autoencoder squeezes a frame of the game into a short vector. An agent that sees only that vector can
act only on what survived in it.</p>
<p>How it is measured: the encoder is frozen, and a small convolutional decoder, the <b>probe</b>, is trained to
draw the
<b>semantic map</b> of the frame (which class is where, in 16 x 16 blocks) from the encoding alone. It is evaluated on
levels that neither was trained on. The main figure is the <b>mIoU</b>, the mean over the classes of intersection over
union. <b>Plan accuracy</b> is how often a small planning network on the frozen encoding names a move that a
shortest-path
player would make. Compare each with the reference rows: raw pixels show what the probe can reach at all, untrained
encoders and the majority what it reaches without any training.</p>
<div class="facts">{cells}</div></header>"""


def _lost(entry: Entry, group: str) -> bool:
    value = grouped_iou(entry.metrics.get("probes") or {}).get(group)
    return value is not None and value < LOST


def all_references(
    entries: Sequence[Entry], given: Sequence[Mapping[str, Any]] | None
) -> list[tuple[str, Mapping[str, Any]]]:
    """Reference rows by name: those given, then those that the evaluations brought.

    A name comes once; an untrained encoder that reads differently, being of other sizes, has its artifact's.
    """
    rows: dict[str, Mapping[str, Any]] = {str(row.get("name", "reference")): row for row in given or ()}
    for entry in entries:
        for key, row in (entry.metrics.get("references") or {}).items():
            name = f"{entry.family}, untrained" if key == "untrained" else str(row.get("name") or key.replace("_", " "))
            if key == "untrained" and name in rows and figure(rows[name], "miou") != figure(row, "miou"):
                name = f"{entry.name}, untrained"
            rows.setdefault(name, row)
    return sorted(rows.items(), key=lambda row: -(figure(row[1], "miou") or 0.0))


def _name_cell(entry: Entry, palette: Mapping[str, str]) -> str:
    family = f"<small>{text(entry.family)}</small>" if entry.family != entry.name else ""
    dot = f'<span class="dot" style="background:{palette.get(entry.family, "#888")}"></span>'
    return f'<td class="name"><b>{dot}{text(entry.name)}</b>{family}</td>'


def leaderboard(entries: Sequence[Entry], references: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """All artifacts, best first: mIoU, plan accuracy, and IoU by group of classes; the reference rows below."""
    groups = list(dict.fromkeys(g for e in entries for g in grouped_iou(e.metrics.get("probes") or {})))

    def cells(probes: Mapping[str, Any]) -> str:
        miou, spread = figure(probes, "miou"), figure(probes, "std", "miou")
        bar = f'<span class="bar"><i style="width:{100 * (miou or 0):.0f}%"></i></span>'
        plus = f" ± {spread:.3f}" if spread is not None else ""
        found = grouped_iou(probes)
        heats = "".join(f'<td class="heat" style="{heat(found.get(g))}">{number(found.get(g))}</td>' for g in groups)
        return (
            f"<td>{bar}<b>{number(miou)}</b>{plus}</td><td><b>{number(figure(probes, 'plan_accuracy'))}</b></td>"
            f"<td>{number(figure(probes, 'scene_score'))}</td>{heats}"
            f"<td>{number(figure(probes, 'presence_f1'))}</td>"
        )

    palette = colors(entries)
    rows = []
    for rank, entry in enumerate(entries):
        m = entry.metrics
        rows.append(
            f'<tr class="{"best" if rank == 0 else ""}">{_name_cell(entry, palette)}{cells(m.get("probes") or {})}'
            f"<td>{number(figure(m, 'latent_dimension'), ',.0f')}</td>"
            f"<td>{number(figure(m, 'speed', 'cpu', 'encoder', '1', 'median_ms'))}</td></tr>"
        )
    for name, row in references:
        size = number(figure(row, "latent_dimension"), ",.0f")
        rows.append(
            f'<tr class="reference"><td class="name">{text(name)}</td>{cells(row)}<td>{size}</td><td>–</td></tr>'
        )
    heads = "".join(f'<th class="mid">{text(g)}</th>' for g in groups)
    return f"""<section id="leaderboard"><h2>Leaderboard: what can be read from each encoding</h2>
<p>Sorted by mIoU. The coloured cells are IoU by kind of thing: <b style="color:#1d5fa8">blue</b> is read,
<b style="color:#b84a08">orange</b> is lost. Grey rows are references. Presence F1 (is an element anywhere in the
frame?)
is kept for comparison: encoders without any training come close to trained ones by it.</p>
<div class="wide"><table><thead><tr><th>encoder</th><th>mIoU</th><th>plan<br>accuracy</th><th>scene<br>score</th>
{heads}<th>presence<br>F1</th><th>latent<br>dimension</th>
<th>ms a<br>frame</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>
<p class="legend">± is the standard deviation over seeds of the probe. Milliseconds: median of one frame at a time
on one
CPU thread, encoder alone.</p></section>"""


def scenes(entries: Sequence[Entry]) -> str:
    """For each artifact: originals, the semantic map that the probe reads, and what is missing in it, in colour."""
    shown = [e for e in entries if e.examples is not None and e.examples.maps.size]
    if not shown:
        return ""
    classes = task_of(shown[0].game).classes
    legend = " ".join(f"<span>{swatch(name)}{label(name)}</span>" for name in classes)
    cards = "".join(_scene_card(entry, task_of(entry.game).classes) for entry in shown)
    return f"""<section id="scenes"><h2>What each one threw away, to look at</h2>
<p>From top to bottom: the frame, what the autoencoder's decoder makes of it, the semantic map that the probe reads from
the encoding, and what is wrong in that map, each block in the colour of the class that should be there.</p>
<p class="classes">{legend}</p>{cards}</section>"""


def _scene_card(entry: Entry, classes: tuple[str, ...]) -> str:
    examples = entry.examples
    assert examples is not None
    chosen = np.concatenate([examples.of(i)[:1] for i in sorted(set(examples.element.tolist()))])[:8]
    palette = np.array([class_color(name, i) for i, name in enumerate(classes)], np.uint8)
    actual, read = examples.maps[chosen], examples.read_maps[chosen]
    known = actual != UNKNOWN
    wrong = np.where((known & (actual != read))[..., None], palette[np.where(known, actual, 0)], np.uint8(238))
    block = 64 // max(1, actual.shape[-1])

    def enlarged(maps: Picture) -> Picture:
        return maps.repeat(block, 1).repeat(block, 2)

    note = f"<small>{text(entry.note)}</small>" if entry.note else ""
    rows = (
        ("frame", examples.frames[chosen]),
        (f"reconstruction{note}", examples.reconstructions[chosen]),
        ("read from the encoding", enlarged(palette[read])),
        ("wrong there", enlarged(wrong)),
    )
    strips = "".join(_strip(name, frames) for name, frames in rows)
    probes = entry.metrics.get("probes") or {}
    facts = f"mIoU {number(figure(probes, 'miou'))}, plan accuracy {number(figure(probes, 'plan_accuracy'))}"
    return (
        f'<div class="artifact"><h3>{text(entry.name)} <small>{facts}</small></h3>'
        f'<p class="verdict">{verdict(probes)}</p><div class="wide">{strips}</div></div>'
    )


def _strip(name: str, frames: Picture) -> str:
    """A row of pictures (N, 64, 64, 3) under a name."""
    sheet = np.full((64, len(frames) * 67 - 3, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        sheet[:, i * 67 : i * 67 + 64] = frame
    width = int(sheet.shape[1] * 1.5)
    plain = name.split("<")[0]
    image = f'<img src="{data_uri(sheet)}" width="{width}" height="96" alt="{plain}">'
    return f'<div class="strip"><div>{name}</div>{image}</div>'


def verdict(probes: Mapping[str, Any]) -> str:
    """One sentence: which classes can be read, which half, which are lost, by IoU."""
    groups: dict[str, list[str]] = {"Read": [], "Half read": [], "Lost": []}
    for name, value in (probes.get("iou") or {}).items():
        if value is not None:
            group = "Lost" if value < LOST else "Read" if value >= KEPT else "Half read"
            groups[group].append(f"{label(str(name))} ({value:.2f})")
    return " ".join(f"<b>{name}:</b> {', '.join(found)}." for name, found in groups.items() if found)


def other_probes(entries: Sequence[Entry], references: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Every figure of the task's probe targets, MLP probe and linear probe."""
    if not entries:
        return ""
    names = {
        name: title for target in task_of(entries[0].game).probe_targets() for name, title in target.figures.items()
    }
    if not names:
        return ""
    palette = colors(entries)

    def cells(probes: Mapping[str, Any]) -> str:
        pairs = ((figure(probes, name), figure(probes, f"linear_{name}")) for name in names)
        return "".join(f"<td>{number(mlp)}<small> {number(linear)}</small></td>" for mlp, linear in pairs)

    rows = [f"<tr>{_name_cell(e, palette)}{cells(e.metrics.get('probes') or {})}</tr>" for e in entries]
    rows += [f'<tr class="reference"><td class="name">{text(n)}</td>{cells(row)}</tr>' for n, row in references]
    heads = "".join(f"<th>{text(title)}</th>" for title in names.values())
    return f"""<section id="probes"><h2>Other probes</h2><p>An MLP with one hidden layer of 256 units on the whole
    encoding
and, small beside it, a linear probe. Both see the encoding as a vector: what a map needs weights shared over places
for,
they cannot find in so few frames.</p>
<div class="wide"><table><thead><tr><th>encoder</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>
</section>"""


def reconstructions_and_cost(entries: Sequence[Entry]) -> str:
    """Reconstruction errors, sizes and times of all artifacts, in the order of the leaderboard."""
    palette = colors(entries)
    columns: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("MSE", ("reconstruction", "mse"), ".4f"),
        ("MSE on<br>objects", ("reconstruction", "object_mse"), ".4f"),
        ("PSNR,<br>dB", ("reconstruction", "psnr"), ".1f"),
        ("SSIM", ("reconstruction", "ssim"), ".3f"),
        ("active<br>units", ("reconstruction", "active_units"), ",.0f"),
        ("latent<br>dimension", ("latent_dimension",), ",.0f"),
        ("weights", ("parameters",), ",.0f"),
        ("encoder, ms,<br>one frame", ("speed", "cpu", "encoder", "1", "median_ms"), ".2f"),
        ("encoder, ms,<br>64 frames", ("speed", "cpu", "encoder", "64", "median_ms"), ".1f"),
        ("all of it, ms,<br>one frame", ("speed", "cpu", "model", "1", "median_ms"), ".2f"),
        ("encoder, GPU,<br>ms, 64 frames", ("speed", "cuda", "encoder", "64", "median_ms"), ".2f"),
    )
    shown = [c for c in columns if any(figure(entry.metrics, *c[1]) is not None for entry in entries)]
    if not shown:
        return ""
    head = "".join(f"<th>{name}</th>" for name, _, _ in shown)
    body = "".join(
        f"<tr>{_name_cell(entry, palette)}"
        + "".join(f"<td>{number(figure(entry.metrics, *path), form)}</td>" for _, path, form in shown)
        + "</tr>"
        for entry in entries
    )
    return f"""<section id="cost"><h2>Reconstruction and cost</h2>
<p>How well frames are painted again, and what it takes; in the order of the leaderboard. A low error says little: small
things hardly change it. Times are medians on one CPU thread unless said otherwise.</p>
<div class="wide"><table><thead><tr><th>encoder</th>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"""


def trade_offs(entries: Sequence[Entry]) -> str:
    """mIoU against latency, latent dimension, reconstruction error and presence F1, as scatter plots."""
    palette = colors(entries)
    axes = [
        (
            ("speed", "cpu", "encoder", "1", "median_ms"),
            "milliseconds a frame, one CPU thread",
            "Up and left is better.",
        ),
        (("latent_dimension",), "latent dimension", "A small encoding makes a small policy."),
        (
            ("reconstruction", "mse"),
            "MSE of the reconstruction, all pixels",
            "On a falling line MSE would say it too.",
        ),
    ]
    plots = []
    for path, name, caption in axes:
        points = []
        for entry in entries:
            x, y = figure(entry.metrics, *path), figure(entry.metrics, "probes", "miou")
            if x is not None and y is not None and x > 0:
                points.append((entry.name, x, y, palette[entry.family]))
        if points:
            chart = charts.scatter(points, x_label=name, y_label="mIoU", title=f"mIoU against {name}", width=370)
            plots.append(f"<figure>{chart}<figcaption>{caption}</figcaption></figure>")
    if not plots:
        return ""
    return f'<section id="tradeoffs"><h2>What mIoU costs</h2><div class="row">{"".join(plots)}</div></section>'


def training_curves(entries: Sequence[Entry]) -> str:
    """Train and test loss per epoch of each artifact. Losses of different artifacts can't be compared."""
    plots = []
    for entry in entries:
        series = {}
        for key, name in (("train_loss", "train"), ("test_loss", "test")):
            rows = [(figure(r, "epoch"), figure(r, key)) for r in entry.history]
            usable = [(a, b) for a, b in rows if a is not None and b is not None]
            if usable:
                series[name] = ([a for a, _ in usable], [b for _, b in usable])
        if series:
            log = all(b > 0 for _, ys in series.values() for b in ys)
            chart = charts.lines(series, x_label="epoch", y_label="loss", title=f"Loss of {entry.name}", log=log)
            plots.append(f"<figure><h3>{text(entry.name)}</h3>{chart}</figure>")
    if not plots:
        return ""
    return f"""<section id="training"><h2>Training curves</h2><p>Each on its own loss (they weigh different
things, so only
the shapes compare): a gap between train and test is overfitting, a falling end means that longer training would
pay.</p>
<div class="row">{"".join(plots)}</div></section>"""


def ppo_section(ppo: Mapping[str, Any] | None) -> str:
    """Returns of PPO while it learns, and a table of final ones."""
    if not ppo:
        return ""
    parts = []
    if ppo.get("text"):
        parts.append(f"<p>{text(ppo['text'])}</p>")
    curves = {str(k): (list(v["steps"]), list(v["returns"])) for k, v in (ppo.get("curves") or {}).items()}
    if curves:
        chart = charts.lines(
            curves, x_label="environment steps", y_label="mean episode return", title="PPO", width=760, height=320
        )
        parts.append(f"<figure>{chart}</figure>")
    if ppo.get("table"):
        parts.append(table(ppo["table"]))
    return f'<section id="ppo"><h2>PPO on encoded frames</h2>{"".join(parts)}</section>'


def dataset_section(dataset: Any) -> str:
    """What the encoders were trained and evaluated on."""
    if dataset is None:
        return ""
    if isinstance(dataset, Mapping):
        facts = dict(dataset)
    else:
        facts = {**dataset.spec.to_dict(), "frames": len(dataset), "sha256": dataset.hash}
    rows = "".join(f"<dt>{text(str(k).replace('_', ' '))}</dt><dd>{text(v)}</dd>" for k, v in facts.items())
    return f'<section id="dataset"><h2>The dataset</h2><dl>{rows}</dl></section>'


def definitions() -> str:
    """What each figure means."""
    terms = {
        "semantic map": "For each block of 4 x 4 pixels the class of the object that covers at least a quarter of "
        "it, else "
        "floor or wall; worked out from the level's seed, the agent's pose and what was collected.",
        "mIoU": "Mean over the classes of TP / (TP + FP + FN), counted over all blocks of all test frames "
        "(Everingham et "
        "al. 2010), of a convolutional probe with weights shared over places.",
        "plan accuracy": "A small recurrent convolutional network on the frozen encoding learns the oracle's moves "
        "from a "
        "fixed number of labelled frames; the share of test frames in which its choice is one of them.",
        "scene score": "mIoU times plan accuracy: high only where both the scene and the way through it can be read.",
        "presence F1": "Mean F1 over the elements of an MLP probe that says whether the element is in the frame. "
        "Frames "
        "that show under half of it are left out.",
        "position error": "Mean absolute error, in pixels, of an element's centre as the MLP probe reads it.",
        "next move": "Share of frames in which the MLP probe picks a move that a shortest-path player would make.",
        "MSE, SSIM": "Error and structural similarity (Wang et al. 2004) of the reconstruction, pixels between 0 and "
        "1.",
        "references": "“majority” gives the same answer to every frame; “raw pixels” are probes on the frame itself; "
        "“untrained” is the same network with random weights.",
        "levels": "Probes are evaluated on levels that neither the autoencoder nor the probe was trained on.",
    }
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in terms.items())
    return f'<section id="definitions"><h2>How the figures are made</h2><dl>{rows}</dl></section>'
