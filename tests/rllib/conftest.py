"""Fixtures of RLlib's tests: encoders with random weights, and configurations small enough to train in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import make_artifact


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A vector encoding of memory mode."""
    return make_artifact(tmp_path_factory.mktemp("rllib") / "random_maxpool", "conv_maxpool")


@pytest.fixture(scope="session")
def image_artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An encoding with the shape of an image, and batch norms."""
    return make_artifact(tmp_path_factory.mktemp("rllib") / "random_unpool", "conv_unpool")


@pytest.fixture(scope="session")
def tiny(artifact: Artifact) -> Callable[..., Any]:
    """``ppo_config`` with 4 games and 64 steps an iteration."""
    from heist_encoders.rllib import ppo_config

    def make(encoder: Any = artifact, **options: Any) -> Any:
        config = ppo_config(encoder, **{"num_envs": 4, "backend": "torch", **options})
        return config.training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)

    return make
