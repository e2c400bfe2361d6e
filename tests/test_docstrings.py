"""The examples of docstrings and of the quick start run as they are.

They may take for granted what a reader has: ``heist_encoders`` and ``np`` are imported, and ``data/heist`` in the
working directory is a dataset (512 frames in memory mode).
"""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest

import heist_encoders
from heist_encoders.data.dataset import Dataset

ROOT = Path(heist_encoders.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NEED_RAY = {"data/generate.py"}
NEED_HUB = {"policies/hub.py"}
MODULES = [
    pytest.param(name, marks=[pytest.mark.ray] if name in NEED_RAY else [])
    for name in sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ">>> " in path.read_text())
]


@pytest.fixture
def reader(small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that an example may take for granted, in a working directory with a dataset."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "heist").symlink_to(small_dataset.path)
    ids = set(gymnasium.registry)
    yield {"heist_encoders": heist_encoders, "np": np}
    for id in gymnasium.registry.keys() - ids:
        del gymnasium.registry[id]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name: str, reader: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if name in NEED_RAY:
        request.getfixturevalue("ray_local")
    if name in NEED_HUB:
        request.getfixturevalue("hub")
    module = importlib.import_module("heist_encoders." + name.removesuffix(".py").replace("/", "."))
    found = [test for test in doctest.DocTestFinder().find(module, globs=reader) if test.examples]
    assert found
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in found:
        runner.run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", [name for name in heist_encoders.__all__ if name != "__version__"])
def test_each_public_name_has_an_example(name: str) -> None:
    value = getattr(heist_encoders, name)
    if not isinstance(value, ModuleType):
        assert re.search(r"^Examples:\n +>>> ", doctest.inspect.getdoc(value) or "", re.MULTILINE), name


def test_quick_start(reader: dict[str, Any]) -> None:
    text = (ROOT.parent / "docs" / "index.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "docs/index.md", "exec"), reader)
