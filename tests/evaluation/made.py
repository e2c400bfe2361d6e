"""Artifacts made up for the tests of evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.zoo.artifact import Artifact, save_artifact

HISTORY = [{"epoch": i, "train_loss": 1 / (i + 1), "test_loss": 1.1 / (i + 1), "mse": 0.1} for i in range(3)]


def make_artifact(folder: Path, dataset: Any, family: str = "conv_maxpool", name: str = "tiny") -> Artifact:
    """An untrained artifact that claims a training of three epochs."""
    training = {"config": {"loss": {"weighting": "classes", "class_share": 0.5}}, "history": HISTORY}
    return save_artifact(folder, create_autoencoder(family), name=name, dataset=dataset, training=training)
