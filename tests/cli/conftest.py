"""Fixtures of the command line's tests."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.helpers import Cli

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """The command line in this process, with signal handlers and warnings put back afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with warnings.catch_warnings():
        yield Cli(capfd)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def trained(small_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small trained artifact (memory mode)."""
    from heist_encoders.training.train import train
    from heist_encoders.zoo import save_artifact

    folder = tmp_path_factory.mktemp("trained") / "artifact"
    result = train({"autoencoder": "conv_maxpool", "max_epochs": 1, "threads": 1}, small_dataset)
    save_artifact(folder, result, name="conv_maxpool-cli", dataset=small_dataset, training={})
    return folder
