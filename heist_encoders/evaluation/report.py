"""The report: one HTML file, complete in itself, about what can be read from each encoding, and what can't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heist_encoders.errors import ConfigError
from heist_encoders.evaluation import sections
from heist_encoders.evaluation.entries import read_entry
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.markup import figure, text
from heist_encoders.evaluation.policy_section import policy_section
from heist_encoders.evaluation.style import CSS
from heist_encoders.evaluation.sweep_sections import sweep_section
from heist_encoders.paths import user_path


def write_report(
    entries: Iterable[Any],
    out_html: str | Path,
    *,
    references: Sequence[Mapping[str, Any]] | None = None,
    dataset: Any = None,
    sweeps: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    ppo: Mapping[str, Any] | None = None,
    title: str = "What did my autoencoder throw away?",
) -> Path:
    """Write the report. It holds everything in itself: no scripts, no links to other files or hosts.

    Args:
        entries: evaluations, each whatever ``read_entry`` takes; none only if there are sweeps.
        out_html: the file to write, replaced if it exists, whole or not at all.
        references: rows of ``reference_rows``; those that ``evaluate`` found are shown anyway.
        dataset: a ``Dataset``, or a mapping of what to tell about it (any keys, plain values).
        sweeps: name of a sweep -> a ``SweepResult``; or its trials alone, a DataFrame or a sequence of mappings with
            plain values, best first, which are shown without plots.
        policy: what ``policy_section`` takes.
        ppo: ``{"curves": {label: {"steps": [...], "returns": [...]}}, "table": [mappings], "text": "..."}``, each key
            optional.
        title: the headline.

    Returns:
        The path of the report.

    Raises:
        ArtifactError: if an entry holds no evaluation. ConfigError: if there is none, or the file can't be written.
    """
    found = [read_entry(entry) for entry in entries]
    if not found and not sweeps:
        raise ConfigError("a report needs at least one evaluated artifact; run heist-encoders evaluate first")
    found.sort(key=lambda e: -(figure(e.metrics, "probes", "miou") or 0.0))
    of_entries = (
        [
            sections.introduction(found, title),
            sections.scenes(found),
            sections.leaderboard(found, sections.all_references(found, references)),
            sections.trade_offs(found),
            sections.other_probes(found, sections.all_references(found, references)),
            sections.reconstructions_and_cost(found),
            sections.training_curves(found),
        ]
        if found
        else [f"<h1>{text(title)}</h1>"]
    )
    parts = [
        *of_entries,
        policy_section(policy),
        sections.ppo_section(ppo),
        sweep_section(sweeps),
        sections.dataset_section(dataset),
        sections.definitions(),
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )
    out_html = user_path(out_html)
    if out_html.is_dir():
        raise ConfigError(f"{out_html} is a folder, expected the name of an .html file to write")
    write_text(out_html, page)
    return out_html
