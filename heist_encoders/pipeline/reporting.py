"""What ``heist-encoders report`` may be given: evaluations, artifacts, sweeps, names, or folders that hold some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ArtifactError

if TYPE_CHECKING:
    from heist_encoders.evaluation.entries import Evaluated
    from heist_encoders.evaluation.figures import Sweep, Table


def write(sources: Sequence[str], out: Path) -> Path:
    """Write the report over all evaluations and sweeps that ``sources`` name or hold.

    Raises:
        ArtifactError, UnknownNameError: for a source that is no evaluation or sweep and holds none.
    """
    from heist_encoders.evaluation.entries import find_evaluations
    from heist_encoders.evaluation.report import write_report
    from heist_encoders.tuning.results import PLAN, load_result
    from heist_encoders.zoo import find_artifact

    entries: list[Evaluated] = []
    sweeps: dict[str, Sweep | Table] = {}
    for source in sources:
        folder = Path(source)
        if not folder.is_dir():
            entries.append(find_artifact(source))
            continue
        found = find_evaluations(folder)
        held = sorted(plan.parent for plan in folder.rglob(PLAN))
        if not found and (folder / "config.json").is_file():
            entries.append(find_artifact(source))
        elif not found and not held:
            raise ArtifactError(f"{source} holds no evaluation and no sweep; run heist-encoders evaluate first")
        entries.extend(found)
        for sweep in held:
            name = sweep.resolve().name
            sweeps[str(sweep) if name in sweeps else name] = load_result(sweep)
    return write_report(entries, out, sweeps=sweeps)
