"""What came out of a sweep, read from JSON and artifacts alone, so that a damaged Tune state costs nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError
from heist_encoders.files import write_atomically
from heist_encoders.json_text import JsonObject, plain, read_json
from heist_encoders.paths import user_path
from heist_encoders.tuning.options import METRICS
from heist_encoders.tuning.sampling import flattened

if TYPE_CHECKING:
    import pandas as pd

PLAN, RESULTS_JSON, RESULTS_CSV = "sweep.json", "results.json", "results.csv"
ARTIFACT = "artifact"
"""Sub-folder of a trial's checkpoint that holds the autoencoder."""
TRAINING = "train"
"""Sub-folder of a trial's checkpoint that holds what training needs to go on; absent from a finished trial's."""
FORMAT_VERSION = 1
SPREAD = "spread.json"
"""In a trial's folder: how its metric varies over seeds of the probe (``tuning.spread``)."""
FIGURES = (
    "objective", "std", *METRICS, "latent_dimension", "latency_ms", "params",
    "epoch", "samples", "samples_per_second", "seconds", "probe_share",
)  # fmt: skip
"""What a trial reports, in the order of the table."""


@dataclass(frozen=True)
class SweepResult:
    """A sweep's outcome.

    Attributes:
        path: The sweep's folder.
        table: One row a trial, best objective first: ``rank`` (from 1), ``trial``, ``trial_id``, ``status``
            (``done``, ``stopped`` by the scheduler, ``failed``, ``unfinished``), ``feasible``, ``reason`` (why a
            trial is not feasible, in words, or what it failed with; else empty), the figures of the
            trial's best checkpoint (``objective``, ``miou``, ...; ``std``: standard deviation of the objective over
            seeds of the probe, of the best trial, if the next is close), every searched parameter under its dotted
            name, ``checkpoint`` (folder relative to ``path``; empty if there is none).
            finished: Whether every trial is done.
        plan: How the sweep was set up (content of ``sweep.json``).
    """

    path: Path
    table: pd.DataFrame
    finished: bool
    plan: JsonObject

    @property
    def lead(self) -> str:
        """How far the best trial is ahead of the next within the limits, and whether that says anything, in words.

        Empty if there is no second one, the lead is too large for a doubt, or it was not measured how far seeds of the
        probe change it.
        """
        if not len(self.table):
            return ""
        rows = _rows(self.table[self.table["feasible"] & (self.table["checkpoint"] != "")].head(2))
        if len(rows) < 2 or rows[0]["std"] is None:
            return ""
        std = float(rows[0]["std"])
        ahead = rows[0]["objective"] - rows[1]["objective"]
        said = f"trial {rows[0]['trial']} is {ahead:.3f} ahead of trial {rows[1]['trial']}"
        noise = f"the standard deviation over seeds of the probe ({std:.3f})"
        return f"{said}, beyond {noise}" if ahead > std else f"{said}, within {noise}: either may be the better one"

    @property
    def best(self) -> JsonObject | None:
        """The row of the best trial within the limits that has a checkpoint, None if there is none."""
        if not len(self.table):
            return None
        rows = self.table[self.table["feasible"] & (self.table["checkpoint"] != "")]
        return None if not len(rows) else _rows(rows.head(1))[0]

    def to_dict(self) -> JsonObject:
        """Plain values for JSON."""
        return {
            "format_version": FORMAT_VERSION,
            "path": str(self.path),
            "finished": self.finished,
            "best": self.best,
            "lead": self.lead,
            "trials": _rows(self.table),
        }

    def save(self) -> None:
        """Write ``results.json`` and ``results.csv`` into the sweep's folder."""
        write_atomically(self.path / RESULTS_JSON, json.dumps(self.to_dict(), indent=1) + "\n")
        write_atomically(self.path / RESULTS_CSV, self.table.to_csv(index=False))


def load_result(sweep_dir: str | Path, *, finished: bool | None = None) -> SweepResult:
    """Read a sweep's outcome, as far as it is, from its folder.

    Args:
        sweep_dir: The sweep's folder.
        finished: Whether it is finished; None = as ``results.json`` says.

    Raises:
        ConfigError: if the folder holds no sweep.
    """
    import pandas as pd

    path = user_path(sweep_dir)
    plan = read_plan(path)
    if finished is None:
        finished = bool(_read_json(path / RESULTS_JSON).get("finished", False))
    trials = [_trial_row(path, folder, plan["searched"]) for folder in _trial_folders(path)]
    rows = sorted(
        trials,
        key=lambda row: (not row["feasible"], -_number(row["objective"]), _number(row["test_loss"]), row["trial"]),
    )
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
        if finished and row["status"] == "unfinished":
            row["status"] = "stopped"  # by the end of the time budget
    columns = [
        "rank", "trial", "trial_id", "status", "feasible", "reason", *FIGURES, *plan["searched"], "checkpoint",
    ]  # fmt: skip
    table = pd.DataFrame([{c: row.get(c) for c in columns} for row in rows], columns=columns)
    for column in ("latent_dimension", "params", "epoch", "samples"):
        table[column] = table[column].astype("Int64")  # whole numbers also beside trials without any
    return SweepResult(path, table, finished, plan)


def read_plan(path: Path) -> JsonObject:
    """The content of ``sweep.json``. Raises ConfigError if ``path`` holds no sweep or a damaged one."""
    file = path / PLAN
    if not file.is_file():
        what = "no such folder" if not path.exists() else f"{PLAN} is missing"
        raise ConfigError(f"{path} holds no sweep: {what}; give the folder that 'heist-encoders tune --out' wrote")
    plan = _read_json(file)
    if plan.get("format_version") != FORMAT_VERSION:
        raise ConfigError(f"{file} is truncated or of another version; run the sweep again in a new folder")
    return plan


def reports(trial_folder: Path) -> Iterator[JsonObject]:
    """Everything that a trial reported, in order (``result.json``, one JSON object a line)."""
    file = trial_folder / "result.json"
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            report = json.loads(line)
        except ValueError:
            continue  # the last line of a killed sweep
        if isinstance(report, dict):
            yield report


def _trial_folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and (p / "params.json").is_file())


def _trial_row(sweep: Path, folder: Path, searched: list[str]) -> JsonObject:
    history = list(reports(folder))
    failed = (folder / "error.txt").is_file()
    config = flattened(_read_json(folder / "params.json"))
    row: JsonObject = {key: config.get(key) for key in searched} | dict.fromkeys(FIGURES)
    row.update(trial=-1, trial_id=folder.name, checkpoint="", feasible=False, reason=_error(folder) if failed else "")
    row["status"] = "failed" if failed else "unfinished"
    number = folder.name.split("-", 1)[0]
    row["trial"] = int(number) if number.isdigit() else -1
    if not history:
        return row
    row["trial_id"] = history[-1].get("trial_id", folder.name)
    if history[-1].get("done") or history[-1].get("complete"):
        row["status"] = "done" if history[-1].get("complete") else "stopped"
    for report in sorted(history, key=lambda r: (_number(r.get("objective")), _number(r.get("epoch"))), reverse=True):
        name = report.get("checkpoint_dir_name")
        if name and (folder / name / ARTIFACT / "config.json").is_file():
            row.update({key: report.get(key) for key in FIGURES})
            row["checkpoint"] = str((folder / name).relative_to(sweep))
            break
    else:
        row.update({key: history[-1].get(key) for key in FIGURES})
    row["std"] = _read_json(folder / SPREAD).get(row["checkpoint"])
    row["feasible"] = bool(history[-1].get("feasible", False))
    row["reason"] = row["reason"] or history[-1].get("reason") or ""
    return row


def _error(folder: Path) -> str:
    """The last line of what a failed trial failed with."""
    try:
        lines = (folder / "error.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else -math.inf


def _read_json(path: Path) -> JsonObject:
    try:
        data = read_json(path)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _rows(table: pd.DataFrame) -> list[JsonObject]:
    """The rows with Python's values; NaN and NA as None."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [plain({str(key): value for key, value in row.items()}) for row in rows]
