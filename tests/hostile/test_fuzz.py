"""Hostile files, 10,900 of them, each opened as a user would: one line or a valid load, and nothing else happens.

The cases follow from a seed. What fails is opened again alone with ``python -m tests.hostile.run SEED KIND=1
--only=NUMBER``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import heist_encoders

SEED = 1
RUNS = [
    {"yaml_options": 1_500, "manifests": 3_000, "shards": 700},
    {"configs": 2_000, "artifacts": 500, "policies": 500, "evaluations": 700, "checkpoints": 500, "states": 800},
    {"offline": 700},
]
_MOST_MEMORY = 150_000_000
"""Bytes above what the valid files took; the largest hostile file has 120 KB."""


def test_there_are_enough_cases() -> None:
    assert sum(sum(run.values()) for run in RUNS) >= 10_000


@pytest.mark.parametrize("run", RUNS, ids=lambda run: "-".join(run))
def test_hostile_files(run: dict[str, int], tmp_path: Path) -> None:
    root = Path(heist_encoders.__file__).parent.parent
    words = [f"{kind}={cases}" for kind, cases in run.items()]
    command = [sys.executable, "-m", "tests.hostile.run", str(SEED), *words]
    environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=False)
    assert done.returncode == 0, f"the process ended ({done.returncode}) in {done.stderr[-1_500:]}"
    result = json.loads(done.stdout)
    assert result.pop("outside_untouched")
    for kind, found in result.items():
        assert found["wrong"] == [], f"{kind}: {found['wrong_cases']} of {found['cases']}"
        assert found["refused"] > found["cases"] // 3, f"{kind}: the cases are too tame"
        assert found["opened"] > 0, f"{kind}: the valid file is refused too"
        assert found["memory"] < _MOST_MEMORY, kind
