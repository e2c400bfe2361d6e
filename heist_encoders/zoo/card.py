"""The card of an artifact: what it is, how good it is, how it was made, how to use it. Plain Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from heist_encoders.zoo.names import env_id_of

_MAX_FIGURES = 60
_IDENTITY = ("name", "family", "game", "distribution_mode", "sha256", "dataset_hash", "encoding_shape", "references")
"""Figures of an evaluation that stand elsewhere on the card, or need a report to be read."""


def make_card(config: Mapping[str, Any], metrics: Mapping[str, Any], sha256: str) -> str:
    """The text of ``README.md``.

    Args:
        config: content of ``config.json`` (without ``files``).
        metrics: content of ``metrics.json``.
        sha256: hexadecimal SHA-256 of the weights.
    """
    name = config["name"]
    shape = " x ".join(str(size) for size in config["encoding_shape"])
    sizes = ", ".join(str(size) for size in config["encoding_shape"])
    mode = config["distribution_mode"]
    # A family's name alone means its artifact of memory mode.
    option = f', distribution_mode="{mode}"' if name == config["family"] and mode != "memory" else ""
    background = "with" if config["use_backgrounds"] else "without"
    lines = [
        f"# {name}",
        "",
        f"An encoder of the family `{config['family']}`: frames of Procgen's {config['game']} "
        f"({mode} mode, {background} backgrounds), uint8 64 x 64 x 3, to float32 {shape}.",
        "",
        *_kept(metrics.get("usefulness", {})),
        *_table("Figures", _without(metrics), empty="Not evaluated yet: `heist-encoders evaluate`."),
        *_table("Parameters", config["params"], empty="The family's defaults."),
        *_table("Training", config["training"], empty="Unknown."),
        "## Provenance",
        "",
        *_frames(config),
        f"- weights: sha256 `{sha256}`",
        *(f"- {key}: {value}" for key, value in _flat(config["provenance"])),
        "",
        "## Use",
        "",
        "```python",
        "import gymnasium, heist_encoders",
        "",
        f'encoder = heist_encoders.load_encoder("{name}"{option})  # or this folder',
        f"encodings = encoder.encode(frames)  # uint8 (N, 64, 64, 3) -> float32 (N, {sizes})",
        f'env = gymnasium.make("heist_encoders:{env_id_of(name)}"{option})',
        "```",
        "",
    ]
    return "\n".join(lines)


def _frames(config: Mapping[str, Any]) -> list[str]:
    """What it was trained on."""
    stream = config["training"].get("stream")
    if not stream:
        return [f"- dataset: `{config['dataset_hash'] or 'unknown'}`"]
    samples = config["training"].get("samples", 0)
    return [
        f"- training frames: the first {samples:,} of an endless stream, each seen once (spec: above); the weights "
        "are those of the best epoch",
        f"- judged while it was trained on: {stream['tested_on']}",
    ]


def _kept(usefulness: Mapping[str, Any]) -> list[str]:
    """What the probes find in the encoding, one row an element."""
    elements = usefulness.get("elements")
    if not elements:
        return []
    columns = {
        "mlp_f1": "F1, MLP probe",
        "mlp_recall": "recall",
        "linear_f1": "F1, linear probe",
        "position_error_px": "error of its position, pixels",
        "positives": "test frames with it",
    }
    lines = ["## What it kept", "", "| element | " + " | ".join(columns.values()) + " |", "|---" * 6 + "|"]
    for element, figures in elements.items():
        cells = [_cell(figures.get(key)) for key in columns]
        lines.append(f"| {element} | " + " | ".join(cells) + " |")
    spread = usefulness.get("std") or {}
    mean = [
        _cell(usefulness.get(key)) + (f" ± {spread[key]:.2g}" if spread.get(key) is not None else "")
        for key in ("mlp_f1", "linear_f1")
    ]
    lines.append(f"| mean | {mean[0]} | | {mean[1]} | | |")
    if spread:
        lines += ["", f"± is the standard deviation over {usefulness.get('seeds')} seeds of the probes."]
    return [*lines, ""]


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _without(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The figures, less those that are shown elsewhere on the card."""
    kept = {key: value for key, value in metrics.items() if key not in _IDENTITY}
    if isinstance(kept.get("usefulness"), Mapping):
        kept["usefulness"] = {key: value for key, value in kept["usefulness"].items() if key != "elements"}
    return kept


def _table(title: str, data: Mapping[str, Any], *, empty: str) -> list[str]:
    rows = list(_flat(data))
    if not rows:
        return [f"## {title}", "", empty, ""]
    shown = [f"| {key} | {value} |" for key, value in rows[:_MAX_FIGURES]]
    more = [f"| ... | {len(rows) - len(shown)} more in the JSON files |"] if len(rows) > len(shown) else []
    return [f"## {title}", "", "| | |", "|---|---|", *shown, *more, ""]


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as rows ``outer.inner``; long lists and empty values are left out."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            yield f"{prefix}{key}", f"{value:.4g}"
        elif isinstance(value, list) and (len(value) > 8 or any(isinstance(item, Mapping) for item in value)):
            continue
        elif value is not None:
            yield f"{prefix}{key}", " ".join(str(value).split()).replace("|", "\\|")
