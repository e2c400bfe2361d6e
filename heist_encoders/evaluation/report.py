"""The report: one HTML file, complete in itself, about what can be read from each encoding, and what can't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError
from heist_encoders.evaluation import sections
from heist_encoders.evaluation.charts import COLORS
from heist_encoders.evaluation.entries import Entry, Evaluated, packaged_rows, read_entry
from heist_encoders.evaluation.figures import Sweep, Table
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.markup import figure, templates
from heist_encoders.evaluation.sweep_sections import sweep_sections
from heist_encoders.json_text import JsonObject
from heist_encoders.paths import user_path

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


def write_report(
    entries: Iterable[Evaluated],
    out_html: str | Path,
    *,
    references: Sequence[JsonObject] | None = None,
    packaged: str | None = None,
    dataset: Dataset | Mapping[str, object] | None = None,
    sweeps: Mapping[str, Sweep | Table] | None = None,
    policy: JsonObject | None = None,
    ppo: JsonObject | None = None,
    title: str = "What did my autoencoder throw away?",
) -> Path:
    """Write the report. It holds everything in itself: no scripts, no links to other files or hosts.

    Args:
        entries: evaluations, each whatever ``read_entry`` takes; none only if there are sweeps.
        out_html: the file to write, replaced if it exists, whole or not at all.
        references: rows of ``reference_rows``; those that ``evaluate`` found are shown anyway.
        packaged: a distribution mode, whose packaged encoders are shown beside the entries: the figures on their cards,
            and what they make of the same frames.
        dataset: a ``Dataset``, or a mapping of facts about it (any keys, plain values).
        sweeps: name of a sweep -> a ``SweepResult``; or its trials alone, a DataFrame or a sequence of mappings with
            plain values, best first, which are shown without plots.
        policy: what a policy on one of the encoders achieves: ``name``, ``encoder``, ``class`` (a sentence), ``policy``
            and ``random`` (``Evaluation.to_dict`` of each; of random moves in single steps too, ``single_moves``, where
            the policy has an ``action_repeat``), and ``video`` (``path``, ``level_seed``, ``num_keys``,
            ``length``) or None.
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
    rows = [*(references or ()), *(packaged_rows(packaged) if packaged else ())]
    template = templates().get_template("report.html.jinja")
    page = template.render(
        title=title,
        **_of_entries(found, sections.all_references(found, rows)),
        packaged=sections.packaged(found, packaged) if packaged else None,
        policy=policy,
        film=sections.film((policy or {}).get("video")),
        ppo=sections.ppo(ppo) if ppo else None,
        sweeps=sweep_sections(sweeps or {}),
        dataset=None if dataset is None else sections.about(dataset),
    )
    out_html = user_path(out_html)
    if out_html.is_dir():
        raise ConfigError(f"{out_html} is a folder, expected the name of an .html file to write")
    write_text(out_html, page)
    return out_html


def _of_entries(entries: Sequence[Entry], references: Sequence[tuple[str, JsonObject]]) -> dict[str, object]:
    """What the templates show of the evaluated artifacts, best first."""
    architectures = sorted({entry.architecture for entry in entries})
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(architectures)}
    if not entries:
        return {"ranking": None}
    return {
        "facts": sections.facts(entries),
        "scenes": sections.scenes(entries),
        "ranking": sections.ranking(entries, references, colors),
        "trade_offs": sections.trade_offs(entries, colors),
        "costs": sections.costs(entries),
        "training": sections.training_curves(entries),
    }
