"""Fixtures of the policies' tests: encoders with random weights."""

from __future__ import annotations

import pytest

from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import make_artifact


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A vector encoding of memory mode, whose weights no other test shares with a Ray cluster."""
    return make_artifact(tmp_path_factory.mktemp("policies") / "policy_maxpool", "conv_maxpool", seed=55)


@pytest.fixture(scope="session")
def grid_easy() -> Artifact:
    """The packaged ``grid`` of easy mode."""
    from heist_encoders.zoo import find_artifact

    return find_artifact("grid", "easy")
