"""Fixtures of the zoo's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import make_artifact


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of its own, empty."""
    folder = tmp_path / "home"
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A small artifact that no test may change."""
    return make_artifact(tmp_path_factory.mktemp("saved") / "small", "conv_maxpool", metrics={"mse": 0.25})
