"""The report: one HTML file, complete in itself, about what each autoencoder kept and what it threw away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.evaluation import sections
from heist_encoders.evaluation.evaluate import EXAMPLES, LOSSES, METRICS, output_folder
from heist_encoders.evaluation.examples import Examples
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.markup import figure, text
from heist_encoders.evaluation.style import CSS
from heist_encoders.evaluation.sweep_sections import sweep_section


@dataclass(frozen=True)
class Entry:
    """One evaluated artifact, as the report needs it.

    Attributes:
        name, family: of the artifact.
        metrics: what ``evaluate`` returned.
        examples: frames and reconstructions, None if the evaluation's folder isn't there.
        history: its training, one mapping an epoch; may be empty.
    """

    name: str
    family: str
    metrics: dict[str, Any]
    examples: Examples | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def read_entry(source: Any) -> Entry:
    """Read an evaluation.

    Args:
        source: an ``Artifact`` that has been evaluated into its folder, what ``evaluate`` returned, an ``Entry``, or
            the path of an evaluation's folder or of an artifact.

    Raises:
        ArtifactError: if there is no evaluation.
    """
    if isinstance(source, Entry):
        return source
    history: list[dict[str, Any]] = []
    if isinstance(source, Mapping):
        metrics = dict(source)
        folder = Path(metrics["folder"]) if metrics.get("folder") else None
    else:
        artifact = None if isinstance(source, str | Path) else source
        folder = Path(source) if artifact is None else Path(artifact.path)
        # evaluate()'s own place comes first; an artifact's metrics.json alone has the figures but no pictures.
        place = folder / "evaluation" if artifact is None else output_folder(artifact, None)
        if (place / METRICS).is_file():
            folder = place
        try:
            metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ArtifactError(
                f"{folder} holds no evaluation ({METRICS} is missing or damaged); run heist-encoders evaluate first"
            ) from None
        history = list(artifact.training.get("history") or []) if artifact is not None else []
    if not isinstance(metrics, dict) or "name" not in metrics:
        raise ArtifactError(f"{folder} holds no figures of an evaluation; run heist-encoders evaluate first")
    examples = None
    if folder is not None and (folder / EXAMPLES).is_file():
        examples = Examples.load(folder / EXAMPLES)
    if folder is not None and not history:
        history = _read_losses(folder / LOSSES)
    return Entry(str(metrics["name"]), str(metrics.get("family", "")), metrics, examples, history)


def _read_losses(path: Path) -> list[dict[str, Any]]:
    import numpy as np

    if not path.is_file():
        return []
    with np.load(path, allow_pickle=False) as data:
        columns = {name: data[name].tolist() for name in data.files}
    length = min((len(values) for values in columns.values()), default=0)
    return [{name: values[i] for name, values in columns.items()} for i in range(length)]


def find_evaluations(folder: str | Path) -> list[Path]:
    """Every folder under ``folder`` (itself included) that holds an evaluation, sorted."""
    found = (path.parent for path in Path(folder).rglob(METRICS) if (path.parent / EXAMPLES).is_file())
    return sorted(found)


def write_report(
    entries: Iterable[Any],
    out_html: str | Path,
    *,
    references: Sequence[Mapping[str, Any]] | None = None,
    dataset: Any = None,
    sweeps: Mapping[str, Any] | None = None,
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
    found.sort(key=lambda e: -(figure(e.metrics, "usefulness", "mlp_f1") or 0.0))
    of_entries = (
        [
            sections.introduction(found, title),
            sections.leaderboard(found, sections.all_references(found, references)),
            sections.losses_of_elements(found),
            sections.side_by_side(found),
            sections.trade_offs(found),
            sections.reconstructions_and_cost(found),
            sections.training_curves(found),
        ]
        if found
        else [f"<h1>{text(title)}</h1>"]
    )
    parts = [
        *of_entries,
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
    out_html = Path(out_html)
    if out_html.is_dir():
        raise ConfigError(f"{out_html} is a folder, expected the name of an .html file to write")
    write_text(out_html, page)
    return out_html
