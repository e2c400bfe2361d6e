"""The report of a run: its reference rows compare with the figures beside them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heist_encoders.pipeline import stages
from heist_encoders.ray_tasks import Ahead


def test_references_are_of_the_encoders_sizes_and_see_as_many_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, dict[str, Any]] = {}

    def note(name: str, result: Any) -> Any:
        return lambda *args, **options: (given.update({name: options}), result)[1]

    metrics = {"folder": "somewhere", "probes": {}}
    monkeypatch.setattr("heist_encoders.evaluation.evaluate.evaluate", note("evaluate", metrics))
    monkeypatch.setattr("heist_encoders.evaluation.references.reference_rows", note("references", []))
    monkeypatch.setattr("heist_encoders.evaluation.report.write_report", note("report", tmp_path / "report.html"))
    monkeypatch.setattr(
        "heist_encoders.zoo.load_artifact",
        lambda path: SimpleNamespace(architecture="grid", params={"of": Path(path).name}),
    )
    monkeypatch.setattr("heist_encoders.data.dataset.open_dataset", lambda path: range(1_000))
    monkeypatch.setattr("heist_encoders.zoo.update_metrics", lambda artifact, figures: None)
    monkeypatch.setattr(stages, "best_winner", lambda job: {"family": "grid", "artifact": "best"})
    job: Any = SimpleNamespace(
        out=tmp_path,
        options=SimpleNamespace(architectures=[], seed=3, mode="easy"),
        state=SimpleNamespace(result=lambda stage: None),
        progress=SimpleNamespace(count=lambda *args: None),
        dataset=lambda: None,
        ahead=Ahead(),
    )
    stages.measured(job, {"name": "grid", "artifact": "grid", "sha256": "0"})
    assert stages.make_report(job) == {"path": str(tmp_path / "report.html")}
    seen = given["evaluate"]
    expected = {key: seen[key] for key in ("seed", "seeds", "map_samples", "wanted")} | {
        "train_limit": seen["probe_frames"]
    }
    assert given["references"] == expected | {"params": {"grid": {"of": "best"}}}
