"""Pages of the documentation site that are made of other files: see ``hooks`` in mkdocs.yml.

Examples, help texts, the reference of the docstrings, CONTRIBUTING.md and CHANGELOG.md become pages here, so that each
is written in one place only.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import heist_encoders

ROOT = Path(__file__).parents[1]
PACKAGE = "heist_encoders"

SUBPACKAGES: Mapping[str, tuple[str, ...]] = {
    "data": (
        "dataset.open_dataset", "dataset.Dataset", "generate.generate", "manifest.DatasetSpec", "stream.stream",
        "stream.FrameStream", "local.generate_local", "verify.verify", "verify.repair", "schema.columns",
    ),
    "autoencoders": (),
    "training": ("train.train", "distributed.train_distributed", "objective.Term", "objective.term"),
    "evaluation": ("evaluate.evaluate", "semantic_probe.intersection_over_union"),
    "tuning": (),
    "zoo": (),
    "envs": (),
    "rllib": (),
    "policies": (
        "artifact.load_policy", "artifact.save_policy", "artifact.find_policy", "artifact.policy_names",
        "hub.push_to_hub", "policy.Policy", "policy.PolicyRunner", "clone.clone", "dagger.dagger",
        "evaluate.play_levels", "evaluate.Evaluation", "play.play_episodes", "play.StepInput", "play.BatchPolicy",
        "play.RandomPolicy", "play.OraclePolicy", "heads.HeadConfig", "planner.PlannerConfig", "planner.Planner",
        "planner.plan_accuracy", "recording.oracle_episodes", "minari.record_minari",
    ),
    "tasks": (
        "base.Task", "base.Labeller", "base.Oracle", "base.Rows", "registry.task_of", "targets.ProbeTarget",
        "starts.StartStates", "starts.StartLevels",
    ),
}  # fmt: skip
"""Subpackage -> what its page shows besides the names that it exports itself."""

BASE = (
    "config.Config", "constants", "engine.Engine", "errors", "paths.home", "ray_session.start_ray",
    "ray_session.quiet_ray", "semantic",
)  # fmt: skip


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for name, text in pages():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to CONTRIBUTING.md and CHANGELOG.md lead to the pages made of them."""
    return re.sub(r"\]\((?:\.\./)?(CONTRIBUTING|CHANGELOG)\.md\)", lambda link: f"]({link[1].lower()}.md)", markdown)


def pages() -> Iterator[tuple[str, str]]:
    """Names, relative to docs/, and their Markdown."""
    yield "contributing.md", _of_root("CONTRIBUTING.md")
    yield "changelog.md", _of_root("CHANGELOG.md")
    yield "examples.md", examples()
    yield "cli.md", command_line()
    yield "reference/index.md", overview()
    for name in SUBPACKAGES:
        yield f"reference/{name}.md", reference(name)
    yield "reference/base.md", "# The rest\n\n" + _blocks(f"{PACKAGE}.{name}" for name in BASE)


def examples() -> str:
    """The list of examples/README.md, then each file."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8").replace("](../docs/", "](")
    for path in sorted((ROOT / "examples").glob("*.py")):
        text += f"\n## {path.name}\n\n```python\n{path.read_text(encoding='utf-8')}```\n"
    return text


def command_line() -> str:
    """Each command's help, by typer's own generator; the examples at the end of a help text become a block."""
    command = [sys.executable, "-m", "typer", f"{PACKAGE}.cli.main", "utils", "docs", "--name", "heist-encoders"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"^Examples:\n\n((?:heist-encoders .*\n\n?)+)", _console, text, flags=re.MULTILINE)


def _console(found: re.Match[str]) -> str:
    lines = [line for line in found[1].splitlines() if line]
    return "**Examples**:\n\n```console\n" + "".join(f"$ {line}\n" for line in lines) + "```\n\n"


def overview() -> str:
    """The names at the top of the package, each with the first sentence of its docstring and a link."""
    rows = ["# Reference", "", str(heist_encoders.__doc__), "", "| name | |", "|---|---|"]
    for name in sorted(heist_encoders.__all__, key=str.lower):
        value = getattr(heist_encoders, name)
        if not isinstance(value, ModuleType | str):
            rows.append(f"| [`{name}`][{value.__module__}.{value.__name__}] | {_first_sentence(value)} |")
    rows += ["", "| subpackage | |", "|---|---|"]
    for name in SUBPACKAGES:
        module = importlib.import_module(f"{PACKAGE}.{name}")
        rows.append(f"| [`heist_encoders.{name}`]({name}.md) | {_first_sentence(module)} |")
    return "\n".join(rows) + "\n"


def reference(name: str) -> str:
    """A subpackage: its docstring and all of its public names."""
    module = importlib.import_module(f"{PACKAGE}.{name}")
    paths = []
    for exported in getattr(module, "__all__", ()):
        value = getattr(module, exported)
        paths.append(f"{value.__module__}.{value.__name__}")
    paths += [f"{PACKAGE}.{name}.{extra}" for extra in SUBPACKAGES[name]]
    return f"# {PACKAGE}.{name}\n\n{module.__doc__}\n\n" + _blocks(dict.fromkeys(paths))


def _blocks(paths: Any) -> str:
    return "".join(f"::: {path}\n\n" for path in paths)


def _of_root(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")


def _first_sentence(value: Any) -> str:
    paragraph = " ".join(str(value.__doc__).strip().split("\n\n")[0].split())
    return paragraph.replace("``", "`")
