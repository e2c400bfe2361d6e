"""The card of an artifact: what it is, how good it is, how it was made, how to use it.

Markdown, headed by the metadata (YAML) that a hub shows and searches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from heist_encoders.json_text import JsonObject
from heist_encoders.zoo.names import PIXELS_ID, architecture_of, env_id_of

LICENSE: Final = "mit"
"""Identifier of the licence on cards, unless another is named: this package's own."""
_MAX_FIGURES = 60
_IDENTITY = ("name", "family", "game", "distribution_mode", "sha256", "dataset_hash", "encoding_shape", "references")
"""Figures of an evaluation that stand elsewhere on the card, or need a report to be read."""


def metadata(
    name: str,
    game: str,
    mode: str,
    *,
    pipeline: str,
    tags: list[str],
    figures: Mapping[str, tuple[str, float | None]],
    license: str,
) -> list[str]:
    """The lines of a card's YAML metadata, as hubs read them.

    Args:
        name, game, mode: of an encoder or a policy.
        pipeline: the hub's name of what it does, ``reinforcement-learning`` for example.
        tags: what to find it by, besides the package, the game and the mode.
        figures: type of a metric -> its name in words and its value; without a value it is left out.
        license: its identifier.
    """
    data: JsonObject = {
        "library_name": "heist-encoders",
        "license": license,
        "pipeline_tag": pipeline,
        "tags": ["heist-encoders", "reinforcement-learning", "procgen", game, f"{game}-{mode}", *tags],
    }
    measured = [
        {"type": key, "name": name, "value": value} for key, (name, value) in figures.items() if value is not None
    ]
    if measured:
        result = {
            "task": {"type": pipeline, "name": pipeline.replace("-", " ")},
            "dataset": {"type": f"procgen-{game}", "name": f"Procgen {game}, {mode} mode"},
            "metrics": measured,
        }
        data["model-index"] = [{"name": name, "results": [result]}]
    return ["---", yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip(), "---", ""]


def make_card(
    config: JsonObject,
    metrics: JsonObject,
    sha256: str,
    *,
    uri: str | None = None,
    license: str = LICENSE,
) -> str:
    """The text of ``README.md``.

    Args:
        config: content of ``config.json`` (without ``files``).
        metrics: content of ``metrics.json``.
        sha256: hexadecimal SHA-256 of the weights.
        uri: where others load it from; None: by its name or folder.
        license: identifier of its licence.
    """
    name = config["name"]
    shape = " x ".join(str(size) for size in config["encoding_shape"])
    sizes = ", ".join(str(size) for size in config["encoding_shape"])
    mode = config["distribution_mode"]
    # An architecture's name alone means its artifact of memory mode.
    option = f', distribution_mode="{mode}"' if name == config["family"] and mode != "memory" else ""
    background = "with" if config["use_backgrounds"] else "without"
    env_id, env_option = env_id_of(name), option
    if uri:
        known = architecture_of(config["family"])
        option, env_id, env_option = "", env_id_of(known) if known else PIXELS_ID, f', encoder="{uri}"'
    probes, play = metrics.get("probes") or {}, metrics.get("play") or {}
    figures: dict[str, tuple[str, float | None]] = {
        "miou": ("mIoU of the semantic map read by a probe", probes.get("miou")),
        "plan_accuracy": ("plan accuracy of a planning head", probes.get("plan_accuracy")),
        "decoded_success": ("success of a policy that sees reconstructions", play.get("decoded_success")),
        "f1": ("presence F1 by the map's probe", probes.get("map_presence_f1")),
    }
    lines = [
        *metadata(
            name,
            config["game"],
            mode,
            pipeline="image-feature-extraction",
            tags=["autoencoder", config["family"]],
            figures=figures,
            license=license,
        ),
        f"# {name}",
        "",
        f"An encoder of the architecture `{config['family']}`: frames of Procgen's {config['game']} "
        f"({mode} mode, {background} backgrounds), uint8 64 x 64 x 3, to float32 {shape}.",
        "",
        *_kept(probes, metrics.get("references", {}).get("untrained", {})),
        *_played(play),
        *_table("Figures", _without(metrics), empty="Not evaluated yet: `heist-encoders evaluate`."),
        *_table("Parameters", config["params"], empty="The defaults."),
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
        f"encoder = heist_encoders.load_encoder({json.dumps(uri or name)}{option})  # or this folder",
        f"encodings = encoder.encode(frames)  # uint8 (N, 64, 64, 3) -> float32 (N, {sizes})",
        f"env = gymnasium.make({json.dumps('heist_encoders:' + env_id)}{env_option})",
        "```",
        "",
    ]
    return "\n".join(lines)


def _frames(config: JsonObject) -> list[str]:
    """What it was trained on."""
    stream = config["training"].get("stream")
    if not stream:
        return [f"- dataset: `{config['dataset_hash'] or 'unknown'}`"]
    samples = config["training"].get("samples", 0)
    return [
        f"- training frames: the first {samples:,} of an endless stream, each seen once (spec: above); the weights "
        "are those of the best epoch",
        f"- test loss while it was trained: on {stream['tested_on']}",
    ]


def _kept(probes: JsonObject, untrained: JsonObject) -> list[str]:
    """The main figures, mIoU beside that of the same network with random weights, then IoU by class."""
    iou = probes.get("iou")
    if not iou:
        return []
    spread = probes.get("std") or {}
    miou = _cell(probes.get("miou")) + (f" ± {spread['miou']:.2g}" if spread.get("miou") is not None else "")
    lines = ["## What can be read from its encodings", "", f"- mIoU of the semantic map: {miou}"]
    if untrained.get("miou") is not None:
        lines.append(f"- mIoU of the same network with random weights: {_cell(untrained['miou'])}")
    if probes.get("plan_accuracy") is not None:
        samples = f"{probes.get('plan_samples', 0):,} labelled frames"
        lines.append(f"- plan accuracy after {samples}: {_cell(probes['plan_accuracy'])}")
        lines.append(f"- scene score (mIoU times plan accuracy): {_cell(probes.get('scene_score'))}")
    for name, how in (
        ("map_presence_f1", "by the map's probe"),
        ("presence_f1", "of an MLP probe, for comparison"),
    ):
        if probes.get(name) is not None:
            lines.append(f"- presence F1 {how}: {_cell(probes[name])}")
    if spread:
        lines.append(f"- ±: standard deviation over {probes.get('seeds')} seeds of the probe")
    lines += ["", "| class | IoU |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in iou.items()), ""]
    return lines


def _played(play: JsonObject) -> list[str]:
    """How a policy plays by its reconstructions."""
    if play.get("decoded_success") is None:
        return []
    frames = "" if play.get("frames_success") is None else f" (of the frames themselves: {play['frames_success']:.3f})"
    return [
        f"The packaged policy `{play['policy']}` solves {play['decoded_success']:.3f} of {play['levels']} evaluation "
        f"levels when it sees this encoder's reconstructions{frames}.",
        "",
    ]


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _without(metrics: JsonObject) -> JsonObject:
    """The figures, less those that are shown elsewhere on the card."""
    kept = {key: value for key, value in metrics.items() if key not in _IDENTITY}
    if isinstance(kept.get("probes"), Mapping):
        kept["probes"] = {key: value for key, value in kept["probes"].items() if key not in ("iou", "by_thing")}
    return kept


def _table(title: str, data: Mapping[str, object], *, empty: str) -> list[str]:
    rows = list(_flat(data))
    if not rows:
        return [f"## {title}", "", empty, ""]
    shown = [f"| {key} | {value} |" for key, value in rows[:_MAX_FIGURES]]
    more = [f"| ... | {len(rows) - len(shown)} more in the JSON files |"] if len(rows) > len(shown) else []
    return [f"## {title}", "", "| | |", "|---|---|", *shown, *more, ""]


def _flat(data: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
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
