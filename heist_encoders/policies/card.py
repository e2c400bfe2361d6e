"""The card of a policy: what it is, how good it is, how it was made, how to use it. Markdown with YAML metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

from heist_encoders.json_text import JsonObject
from heist_encoders.zoo.card import LICENSE, metadata

CLASSES = {
    "A": "encoder trained without labels, policy by reward alone",
    "B": "encoder trained with labels, policy by reward alone",
    "C": "start states or shaping from the engine",
    "D": "learned from the oracle's moves",
}
"""What a policy may have been taught with, from the least to the most."""


def class_sentence(training: JsonObject) -> str:
    """What a policy was taught with and on how much, from its training record; empty if that does not say.

    ``Class D: learned from the oracle's moves; 200,000 labelled frames; encoder trained on 128,000 frames without
    labels.``
    """
    grade = training.get("class")
    if grade not in CLASSES:
        return ""
    parts = [f"Class {grade}: {CLASSES[grade]}"]
    if training.get("frames_played"):
        parts.append(f"{training['frames_played']:,} frames played")
    if training.get("demonstration_frames"):
        parts.append(f"{training['demonstration_frames']:,} labelled frames")
    if training.get("encoder_frames"):
        labels = {True: " with labels", False: " without labels", None: ""}[training.get("encoder_labels")]
        parts.append(f"encoder trained on {training['encoder_frames']:,} frames{labels}")
    return "; ".join(parts) + "."


def make_card(config: JsonObject, metrics: JsonObject, *, uri: str | None = None, license: str = LICENSE) -> str:
    """The text of ``README.md``.

    Args:
        config: content of ``config.json`` (without ``files``).
        metrics: content of ``metrics.json``.
        uri: where others load it from; None: by its name or folder.
        license: identifier of its licence.
    """
    name, mode = config["name"], config["distribution_mode"]
    head, training, held = config["head"], config["training"], config.get("action_repeat", 1)
    kind = {"planner": "a planning head", "mlp": "an MLP"}[head["kind"]] + (" and an LSTM" if head["lstm"] else "")
    taught = class_sentence(training)
    lines = [
        *metadata(
            name,
            config["game"],
            mode,
            pipeline="reinforcement-learning",
            tags=[head["kind"]],
            figures=_figures(metrics.get("evaluation")),
            license=license,
        ),
        f"# {name}",
        "",
        f"A policy for Procgen's {config['game']} ({mode} mode): {kind} on encodings of `{config['encoder']['name']}`.",
        "",
        *([taught, ""] if taught else []),
        *_evaluation(metrics.get("evaluation")),
        "## Training",
        "",
        *([f"- {key}: {value}" for key, value in _flat(training)] or ["Unknown."]),
        "",
        "## Needs",
        "",
        f"- encoder `{config['encoder']['name']}`, weights sha256 `{config['encoder']['sha256']}`",
        f"- encodings {'normalised' if config['normalize'] else 'as they are'}, actions `{config['actions']}`",
        *([f"- each action held for {held} steps of the game"] if held > 1 else []),
        "",
        "## Use",
        "",
        "```python",
        "from heist_encoders.policies.artifact import load_policy",
        "",
        f'policy = load_policy({json.dumps(uri or name)}, distribution_mode="{mode}")  # or this folder',
        "actions = policy.act(frames)  # uint8 (N, 64, 64, 3) -> int64 (N,)",
        "```",
        "",
    ]
    return "\n".join(lines)


def _figures(found: object) -> dict[str, tuple[str, float | None]]:
    """The figures for the metadata, as ``zoo.card.metadata`` takes them."""
    if not isinstance(found, Mapping) or "return_mean" not in found:
        return {}
    return {
        "mean_reward": ("mean return over whole episodes", found["return_mean"]),
        "success_rate": ("success rate", found.get("success_rate")),
    }


def _evaluation(found: object) -> list[str]:
    """Return and success over whole episodes, in all and by number of keys."""
    if not isinstance(found, Mapping) or "return_mean" not in found:
        return ["Not evaluated yet.", ""]
    low, high = found["return_interval"]
    interval = f" (95% interval {low:.2f} to {high:.2f})" if found["num_levels"] > 1 else ""
    lines = [
        "## Evaluation",
        "",
        f"{found['num_levels']:,} levels, one whole episode each from the true start, "
        f"{'most probable' if found.get('greedy') else 'sampled'} actions. Mean return {found['return_mean']:.2f}"
        f"{interval}, success {found['success_rate']:.1%}.",
        "",
        "| keys | levels | mean return | success | mean length |",
        "|---|---|---|---|---|",
    ]
    for keys, part in found.get("by_num_keys", {}).items():
        lines.append(
            f"| {keys} | {part['num_levels']:,} | {part['return_mean']:.2f} | {part['success_rate']:.1%} "
            f"| {part['length_mean']:.0f} |"
        )
    return [*lines, ""]


def _flat(data: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            rows.append((f"{prefix}{key}", " ".join(str(value).split())))
    return rows
