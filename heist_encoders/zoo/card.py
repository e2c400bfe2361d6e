"""The card of an artifact: what it is, how good it is, how it was made, how to use it. Plain Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from heist_encoders.zoo.names import env_id_of

_MAX_FIGURES = 60


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
    background = "with" if config["use_backgrounds"] else "without"
    lines = [
        f"# {name}",
        "",
        f"An encoder of the family `{config['family']}`: frames of Procgen's {config['game']} "
        f"({config['distribution_mode']} mode, {background} backgrounds), uint8 64 x 64 x 3, to float32 {shape}.",
        "",
        *_table("Figures", metrics, empty="Not evaluated yet: `heist-encoders evaluate`."),
        *_table("Parameters", config["params"], empty="The family's defaults."),
        *_table("Training", config["training"], empty="Unknown."),
        "## Provenance",
        "",
        f"- dataset: `{config['dataset_hash'] or 'unknown'}`",
        f"- weights: sha256 `{sha256}`",
        *(f"- {key}: {value}" for key, value in _flat(config["provenance"])),
        "",
        "## Use",
        "",
        "```python",
        "import gymnasium, heist_encoders",
        "",
        f'encoder = heist_encoders.load_encoder("{name}")  # or this folder',
        f"encodings = encoder.encode(frames)  # uint8 (N, 64, 64, 3) -> float32 (N, {sizes})",
        f'env = gymnasium.make("heist_encoders:{env_id_of(name)}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _table(title: str, data: Mapping[str, Any], *, empty: str) -> list[str]:
    rows = list(_flat(data))
    if not rows:
        return [f"## {title}", "", empty, ""]
    shown = [f"| {key} | {value} |" for key, value in rows[:_MAX_FIGURES]]
    return [f"## {title}", "", "| | |", "|---|---|", *shown, ""]


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
