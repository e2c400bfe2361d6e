"""The sections of the report, each a function from plain data to HTML. Nothing here reads or writes a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from heist_encoders.evaluation import charts
from heist_encoders.evaluation.markup import (
    KEPT,
    LABELS,
    LOST,
    colors,
    data_uri,
    element_f1,
    figure,
    heat,
    number,
    swatch,
    table,
    text,
)
from heist_encoders.evaluation.pictures import crop
from heist_encoders.tasks.heist.elements import ELEMENTS

if TYPE_CHECKING:
    from heist_encoders.evaluation.entries import Entry


def introduction(entries: Sequence[Entry], title: str) -> str:
    """Headline, what was asked, and the answer in a few numbers. ``entries`` come best first."""
    best = entries[0]
    score = figure(best.metrics, "usefulness", "mlp_f1")
    lost = {e: sum(_lost(entry, e) for entry in entries) for e in ELEMENTS}
    worst = max(lost, key=lambda e: lost[e])
    facts = [
        (str(len(entries)), "autoencoder" if len(entries) == 1 else "autoencoders"),
        (number(score), f"best usefulness (F1): {best.name}"),
        (number(figure(best.metrics, "encoding_size"), ",.0f"), "numbers in its encoding, of 12,288 in a frame"),
    ]
    if lost[worst]:
        facts.append((LABELS[worst], f"lost most often: by {lost[worst]} of {len(entries)}"))
    cells = "".join(f'<div class="fact"><b>{text(a)}</b><span class="soft">{text(b)}</span></div>' for a, b in facts)
    return f"""<header><h1>{text(title)}</h1>
<p class="lead">An autoencoder squeezes a frame of the game into a few numbers. An agent that sees only those
numbers can
act only on what survived: the keys, doors and the exit are one pixel in a hundred, and they are the first to go.
Here each
encoder is asked what it kept.</p>
<p>The test: the encoder is frozen, and a small network, the <b>probe</b>, is asked whether each element is in
the frame,
given the encoding alone, on levels that nobody has trained on. <b>Usefulness</b> is the probe's F1 score,
averaged over the
seven elements: 1 means that nothing was lost, 0 that nothing is left.</p>
<div class="facts">{cells}</div></header>"""


def _lost(entry: Entry, element: str) -> bool:
    value = element_f1(entry.metrics.get("usefulness") or {}, element)
    return value is not None and value < LOST


def all_references(
    entries: Sequence[Entry], given: Sequence[Mapping[str, Any]] | None
) -> list[tuple[str, Mapping[str, Any]]]:
    """Reference rows by name: those given, then those that the evaluations brought, each name once."""
    rows: dict[str, Mapping[str, Any]] = {str(row.get("name", "reference")): row for row in given or ()}
    for entry in entries:
        found = entry.metrics.get("references") or {}
        for key, name in (
            ("untrained", f"{entry.family}, untrained"),
            ("raw_pixels", "raw pixels"),
            ("majority", "always the majority"),
        ):
            if found.get(key):
                rows.setdefault(name, found[key])
    return sorted(rows.items(), key=lambda row: -(figure(row[1], "mlp_f1") or 0.0))


def _figures(useful: Mapping[str, Any]) -> str:
    """The cells that artifacts and references have in common."""
    score = figure(useful, "mlp_f1")
    spread = figure(useful, "std", "mlp_f1")
    bar = f'<span class="bar"><i style="width:{100 * (score or 0):.0f}%"></i></span>'
    deviation = f" ± {spread:.3f}" if spread is not None else ""
    cells = [f"<td>{bar}<b>{number(score)}</b>{deviation}</td>", f"<td>{number(figure(useful, 'linear_f1'))}</td>"]
    for element in ELEMENTS:
        value = element_f1(useful, element)
        cells.append(f'<td class="heat" style="{heat(value)}">{number(value)}</td>')
    cells.append(f"<td>{number(figure(useful, 'position_error_px'), '.1f')}</td>")
    for name in ("held_accuracy", "progress_accuracy", "oracle_move_accuracy"):
        cells.append(f"<td>{number(figure(useful, name))}</td>")
    return "".join(cells)


def _name_cell(entry: Entry, palette: Mapping[str, str]) -> str:
    family = f"<small>{text(entry.family)}</small>" if entry.family != entry.name else ""
    dot = f'<span class="dot" style="background:{palette.get(entry.family, "#888")}"></span>'
    return f'<td class="name"><b>{dot}{text(entry.name)}</b>{family}</td>'


def leaderboard(entries: Sequence[Entry], references: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """All artifacts, best first, with the F1 of every element as a heatmap, and the reference rows below."""
    heads = "".join(f'<th class="mid">{swatch(e)}<br>{LABELS[e].replace(" ", "<br>")}</th>' for e in ELEMENTS)
    palette = colors(entries)
    rows = []
    references = list(references)
    for rank, entry in enumerate(entries):
        m = entry.metrics
        rows.append(
            f'<tr class="{"best" if rank == 0 else ""}">{_name_cell(entry, palette)}'
            f"{_figures(m.get('usefulness') or {})}"
            f"<td>{number(figure(m, 'encoding_size'), ',.0f')}</td>"
            f"<td>{number(figure(m, 'speed', 'cpu', 'encoder', '1', 'median_ms'))}</td></tr>"
        )
    for name, row in references:
        size = number(figure(row, "encoding_size"), ",.0f")
        rows.append(
            f'<tr class="reference"><td class="name">{text(name)}</td>{_figures(row)}<td>{size}</td><td>–</td></tr>'
        )
    return f"""<section id="leaderboard"><h2>Leaderboard: what each encoder kept</h2>
<p>Sorted by usefulness. The coloured cells are the MLP probe's F1 for one element:
<b style="color:#1d5fa8">blue</b> was kept, <b style="color:#b84a08">orange</b> was thrown away. The grey rows are
references: no encoder is worth its name unless it beats an untrained one.</p>
<table><thead><tr><th>encoder</th><th>usefulness<br>(MLP F1)</th><th>linear<br>F1</th>{heads}
<th>position<br>error, px</th><th>keys<br>held</th><th>prog-<br>ress</th><th>oracle's<br>move</th><th>numbers</th>
<th>ms a<br>frame</th></tr></thead><tbody>{"".join(rows)}</tbody></table>
<p class="legend">Keys held, progress and the oracle's move are accuracies of the MLP probe; milliseconds are the
median of one frame at a time on one CPU thread, encoder alone.{_given_away(references)}</p></section>"""


def _given_away(references: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """A sentence about elements that are in nearly every frame: one finds them without looking."""
    majority = [row for name, row in references if "majority" in name]
    always = [LABELS[e] for e in ELEMENTS if any((figure(r, "elements", e, "mlp_f1") or 0) > 0.95 for r in majority)]
    if not always:
        return ""
    return f" In (nearly) every frame of this dataset, so that its column says nothing: {', '.join(always)}."


def reconstructions_and_cost(entries: Sequence[Entry]) -> str:
    """Reconstruction errors, sizes and times of all artifacts, in the order of the leaderboard."""
    palette = colors(entries)
    columns: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("MSE", ("reconstruction", "mse"), ".4f"),
        ("MSE on<br>elements", ("reconstruction", "element_mse"), ".4f"),
        ("PSNR,<br>dB", ("reconstruction", "psnr"), ".1f"),
        ("SSIM", ("reconstruction", "ssim"), ".3f"),
        ("active<br>units", ("reconstruction", "active_units"), ",.0f"),
        ("numbers", ("encoding_size",), ",.0f"),
        ("weights", ("parameters",), ",.0f"),
        ("encoder, ms,<br>one frame", ("speed", "cpu", "encoder", "1", "median_ms"), ".2f"),
        ("encoder, ms,<br>64 frames", ("speed", "cpu", "encoder", "64", "median_ms"), ".1f"),
        ("all of it, ms,<br>one frame", ("speed", "cpu", "model", "1", "median_ms"), ".2f"),
        ("encoder, GPU,<br>ms, 64 frames", ("speed", "cuda", "encoder", "64", "median_ms"), ".2f"),
    )
    shown = [c for c in columns if any(figure(entry.metrics, *c[1]) is not None for entry in entries)]
    if not shown:
        return ""
    head = "".join(f"<th>{label}</th>" for label, _, _ in shown)
    body = "".join(
        f"<tr>{_name_cell(entry, palette)}"
        + "".join(f"<td>{number(figure(entry.metrics, *path), form)}</td>" for _, path, form in shown)
        + "</tr>"
        for entry in entries
    )
    return f"""<section id="cost"><h2>Reconstruction and cost</h2>
<p>How well frames are painted again, and what it takes; still in the order of usefulness. A low error beside a low
usefulness is the trap that this report is about. Times are medians on one CPU thread unless said otherwise.</p>
<table><thead><tr><th>encoder</th>{head}</tr></thead><tbody>{body}</tbody></table></section>"""


def trade_offs(entries: Sequence[Entry]) -> str:
    """Usefulness against latency, against size, and against the reconstruction error, as scatter plots."""
    palette = colors(entries)
    axes = [
        (
            ("speed", "cpu", "encoder", "1", "median_ms"),
            "milliseconds a frame, one CPU thread",
            "Up and left is better.",
        ),
        (("encoding_size",), "numbers in an encoding", "What fits into few numbers makes a small policy."),
        (
            ("reconstruction", "mse"),
            "MSE of the reconstruction, all pixels",
            "If the reconstruction told the usefulness, the points would lie on a falling line.",
        ),
    ]
    plots = []
    for path, label, caption in axes:
        points = []
        for entry in entries:
            x, y = figure(entry.metrics, *path), figure(entry.metrics, "usefulness", "mlp_f1")
            if x is not None and y is not None and x > 0:
                points.append((entry.name, x, y, palette[entry.family]))
        if points:
            chart = charts.scatter(
                points, x_label=label, y_label="usefulness (MLP F1)", title=f"Usefulness against {label}", width=370
            )
            plots.append(f"<figure>{chart}<figcaption>{caption}</figcaption></figure>")
    if not plots:
        return ""
    return f'<section id="tradeoffs"><h2>What usefulness costs</h2><div class="row">{"".join(plots)}</div></section>'


def losses_of_elements(entries: Sequence[Entry]) -> str:
    """For each artifact and element: crops of originals beside the reconstruction, and what the probe believes."""
    cards = [_gallery(entry) for entry in entries if entry.examples is not None and len(entry.examples.of(0))]
    if not cards:
        return ""
    return f"""<section id="gallery"><h2>What each one threw away, to look at</h2>
<p>Crops of 24 × 24 pixels around an element: the original on the left, what the autoencoder painted there on the
right, and
how sure the probe is, from the encoding alone, that the element is in the frame. All encoders are shown the same
frames.
<b>Recall</b> is the share of all test frames with the element in which the probe finds it.</p>
{"".join(cards)}</section>"""


def _gallery(entry: Entry) -> str:
    useful = entry.metrics.get("usefulness") or {}
    assert entry.examples is not None
    boxes = []
    for index, element in enumerate(ELEMENTS):
        score, recall = element_f1(useful, element), figure(useful, "elements", element, "mlp_recall")
        state = "" if score is None else "lost" if score < LOST else "kept" if score >= KEPT else ""
        pairs = "".join(_pair(entry, int(i), LABELS[element]) for i in entry.examples.of(index)[:3])
        error = figure(useful, "elements", element, "position_error_px")
        boxes.append(
            f'<div class="element {state}"><header>{swatch(element)}{LABELS[element]}</header>'
            f'<div class="recall">F1 <b>{number(score)}</b>, recall {number(recall)}<br>'
            f"place: ± {number(error, '.1f')} px</div>{pairs or '<small>not in the test frames</small>'}</div>"
        )
    return (
        f'<div class="artifact"><h3>{text(entry.name)}</h3><p class="verdict">{verdict(useful)}</p>'
        f'<div class="elements">{"".join(boxes)}</div></div>'
    )


def _pair(entry: Entry, i: int, label: str) -> str:
    examples = entry.examples
    assert examples is not None
    box = examples.boxes[i].tolist()
    images = "".join(
        f'<img src="{data_uri(crop(frames[i], box))}" width="48" height="48" alt="{label}, {kind}">'
        for frames, kind in ((examples.frames, "original"), (examples.reconstructions, "reconstruction"))
    )
    belief = float(examples.beliefs[i])
    said = "" if math.isnan(belief) else f'<span title="what the probe believes">{100 * belief:.0f}%</span>'
    return f'<div class="pair">{images}{said}</div>'


def verdict(useful: Mapping[str, Any]) -> str:
    """One sentence: which elements were kept, which are blurred, which are lost."""
    groups: dict[str, list[str]] = {"Kept": [], "Half kept": [], "Thrown away": []}
    for element in ELEMENTS:
        score = element_f1(useful, element)
        if score is not None:
            group = "Thrown away" if score < LOST else "Kept" if score >= KEPT else "Half kept"
            groups[group].append(f"{LABELS[element]} ({score:.2f})")
    return " ".join(f"<b>{name}:</b> {', '.join(found)}." for name, found in groups.items() if found)


def side_by_side(entries: Sequence[Entry]) -> str:
    """Whole frames: a row of originals, then a row for each artifact. Only artifacts evaluated on the same frames."""
    first = next((e.examples for e in entries if e.examples is not None and len(e.examples.rows)), None)
    if first is None:
        return ""
    picked = [first.of(i)[:1] for i in range(len(ELEMENTS))] + [first.of(-1)[:2]]
    chosen = np.concatenate(picked)[:9]

    def strip(label: str, frames: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
        sheet = np.full((64, len(frames) * 67 - 3, 3), 255, np.uint8)
        for i, frame in enumerate(frames):
            sheet[:, i * 67 : i * 67 + 64] = frame
        width, height = int(sheet.shape[1] * 1.5), 96
        return (
            f'<div class="strip"><div>{label}</div><img src="{data_uri(sheet)}" width="{width}" height="{height}" '
            f'alt="{text(label.replace("<b>", "").replace("</b>", ""))}"></div>'
        )

    rows = [strip("<b>original</b>", first.frames[chosen])]
    for entry in entries:
        own = entry.examples
        if own is None or own.frames.shape != first.frames.shape or not np.array_equal(own.frames, first.frames):
            continue
        note = "<br><small>decoder sees pooling indices</small>" if entry.family == "conv_unpool" else ""
        rows.append(strip(f"{text(entry.name)}{note}", own.reconstructions[chosen]))
    shown = ", ".join(LABELS[ELEMENTS[int(e)]] if e >= 0 else "nothing" for e in first.element[chosen])
    return f"""<section id="side-by-side"><h2>Originals beside reconstructions</h2>
<p>The same test frames for everyone; from left to right, chosen to show: {shown}. A good-looking row can still
hide a lost
key, and an ugly one can have kept it: the decoder isn't what the agent sees. conv_unpool's decoder is given the
positions
that its pooling layers chose, so its reconstruction says nothing about its encoding.</p>{"".join(rows)}</section>"""


def training_curves(entries: Sequence[Entry]) -> str:
    """Train and test loss per epoch of each artifact. Losses of different artifacts can't be compared."""
    plots = []
    for entry in entries:
        series = {}
        for key, label in (("train_loss", "train"), ("test_loss", "test")):
            rows = [(figure(r, "epoch"), figure(r, key)) for r in entry.history]
            usable = [(a, b) for a, b in rows if a is not None and b is not None]
            if usable:
                series[label] = ([a for a, _ in usable], [b for _, b in usable])
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
    """What the encoders were trained and asked on."""
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
        "usefulness": "Mean F1 over the seven elements of an MLP probe with one hidden layer of 256 units, on "
        "standardised "
        "frozen encodings. An element counts as visible if at least half of what is painted of it is on screen, "
        "as absent "
        "if none is; frames in between are left out of that element's question.",
        "linear F1": "The same with a linear probe: what can be read without any computation.",
        "F1": "2 TP / (2 TP + FP + FN). Guessing “absent” every time is right in nine frames of ten and scores 0.",
        "position error": "Mean absolute error, in pixels, of the element's centre as a probe reads it from the "
        "encoding.",
        "keys held, progress": "Whether the probe knows which keys were collected, and how far in the level the "
        "agent is.",
        "oracle's move": "Share of frames where the probe picks a move that a shortest-path player would make.",
        "MSE, SSIM": "Error and structural similarity (Wang et al. 2004) of the reconstruction, pixels between 0 "
        "and 1.",
        "references": "“always the majority” looks at nothing; “raw pixels” are probes on the frame's 12,288 numbers, "
        "trained on fewer frames; “untrained” is the same network with random weights.",
        "levels": "Probes are judged on levels that neither the autoencoder nor the probe was trained on.",
    }
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in terms.items())
    return f'<section id="definitions"><h2>How the figures are made</h2><dl>{rows}</dl></section>'
