"""Paths as users give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heist_encoders
from heist_encoders.config import read_yaml
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.errors import ConfigError
from heist_encoders.evaluation.report import write_report
from heist_encoders.evaluation.video import write_video
from heist_encoders.paths import user_path
from heist_encoders.tuning.results import load_result
from heist_encoders.tuning.spaces import load_space
from heist_encoders.zoo.artifact import load_artifact
from tests.zoo.making import make_artifact


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who works elsewhere."""
    home, work = tmp_path / "me", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    return home


def test_a_tilde_is_the_home_folder(user: Path) -> None:
    made = generate_local(DatasetSpec(size=128), "~/data")
    assert heist_encoders.open_dataset("~/data").hash == made.hash
    assert heist_encoders.open_dataset(Path("~/data")).path == str(user / "data")
    make_artifact(Path("~/artifact"))
    assert load_artifact("~/artifact").path == user / "artifact"
    assert heist_encoders.load_encoder("~/artifact").artifact.path == user / "artifact"
    write_video("~/film.gif", np.zeros((2, 64, 64, 3), np.uint8))
    (user / "own.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert read_yaml("~/own.yaml") == {"seed": 1}
    assert {path.name for path in user.iterdir()} >= {"data", "artifact", "film.gif", "own.yaml"}
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "use", [
        user_path, read_yaml, heist_encoders.open_dataset, load_artifact, load_result,
        lambda path: generate_local(DatasetSpec(size=128), path),
        lambda path: write_report([], path, sweeps={"a": []}),
        lambda path: load_space(f"{path}.yaml" if path else path),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("given", "told"), [("~nobody-of-that-name/x", "~nobody-of-that-name"), ("", "")])
def test_no_such_place(user: Path, use: Callable[[str], Any], given: str, told: str) -> None:
    with pytest.raises(heist_encoders.errors.HeistEncodersError, match=told):
        use(given)
    assert list(Path.cwd().iterdir()) == []


def test_an_empty_path_is_not_the_working_directory() -> None:
    with pytest.raises(ConfigError, match="the path is empty"):
        user_path("")
