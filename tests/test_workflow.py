"""The workflow of continuous integration runs what is there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))["jobs"]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_step_is_a_target_or_a_file_that_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    runs = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
    assert len(runs) == len(JOBS)
    for run in runs:
        made = re.findall(r"make ([a-z-]+)", run)
        files = re.findall(r"(?:CONSTRAINTS=|&& |^)([./\w-]+/[./\w-]+)", run)
        assert made or files, run
        assert set(made) <= targets, run
        assert all((ROOT / file).is_file() for file in files), run


def test_the_matrix_is_what_the_package_supports() -> None:
    matrix = JOBS["tests"]["strategy"]["matrix"]
    (pythons,) = re.findall(r'^requires-python = "(.*)"$', PROJECT, re.MULTILINE)
    minor = [f"3.{number}" for number in range(8, 20) if f"3.{number}" in SpecifierSet(pythons)]
    assert matrix["python"] == minor
    (wanted,) = (Requirement(text) for text in re.findall(r'^ {2}"(ray\[.*)",$', PROJECT, re.MULTILINE))
    assert all(version.replace("*", "0") in wanted.specifier for version in matrix["ray"])


def test_the_lock_holds_versions_alone() -> None:
    lines = (ROOT / "requirements" / "tests-py311.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    assert len(pinned) > 100
    assert all(re.fullmatch(r"==[\w.]+", str(requirement.specifier)) and not requirement.url for requirement in pinned)
    names = {requirement.name.lower().replace("_", "-") for requirement in pinned}
    wanted = {
        Requirement(text).name
        for text in re.findall(r'^ {2}"([a-z][^"]*)",$', PROJECT, re.MULTILINE)
        if " " not in text
    }
    needed = {"ray", "torch", "gymnasium", "procgen-mirror", "numpy", "pandas", "pytest", "hypothesis"}
    assert needed <= names
    assert needed - {"procgen-mirror"} <= wanted
