"""Fixtures of the environments' tests: encoders with random weights for two modes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from heist_encoders.zoo import load_encoder
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import Encoder
from tests.zoo.making import make_artifact


@pytest.fixture(scope="session")
def artifact_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """Distribution mode -> artifact."""
    made: dict[str, Artifact] = {}

    def artifact(mode: str) -> Artifact:
        if mode not in made:
            made[mode] = make_artifact(tmp_path_factory.mktemp(mode) / f"random_{mode}", "vae_paper", mode=mode)
        return made[mode]

    return artifact


@pytest.fixture(scope="session")
def encoder(artifact_of: Callable[[str], Artifact]) -> Encoder:
    """Of memory mode, computed by torch."""
    return load_encoder(artifact_of("memory"), device="cpu", backend="torch")


@pytest.fixture(scope="session")
def easy_encoder(artifact_of: Callable[[str], Artifact]) -> Encoder:
    """Of easy mode, computed by torch."""
    return load_encoder(artifact_of("easy"), device="cpu", backend="torch")
