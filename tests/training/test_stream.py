"""Training on frames that are drawn while it trains."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from heist_encoders.data.stream import FrameStream, stream
from heist_encoders.errors import ConfigError, DatasetError
from heist_encoders.training.data import StreamLoader
from heist_encoders.training.report import EpochReport
from heist_encoders.training.train import train
from heist_encoders.zoo import save_artifact

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset

SPEC: dict[str, Any] = {"seed": 3, "size": 1500}
CONFIG: dict[str, Any] = {
    "autoencoder": "conv_maxpool",
    "params": {"channels": [4, 2], "decoder_channels": [4, 4, 4], "latent_size": 8},
    "batch_size": 50,
    "epoch_samples": 700,
    "test_samples": 64,
    "max_epochs": 3,
    "threads": 1,
}


def test_every_batch_comes_once_and_in_order_wherever_it_begins() -> None:
    wanted = [batch.frames for batch in islice(stream(SPEC, batch_size=50), 30)]
    loader = StreamLoader(FrameStream(SPEC), with_maps=True)
    try:
        found = list(loader.batches(0, 14, 50)) + list(loader.batches(700, 10, 50))
        for batch, frames in zip(found, wanted, strict=False):
            np.testing.assert_array_equal(batch.frames.numpy(), frames)
            assert batch.maps is not None
            assert batch.maps.shape == (50, 64, 64)
        broken_off = next(loader.batches(1200, 6, 50))
        np.testing.assert_array_equal(broken_off.frames.numpy(), wanted[24])
        again = list(loader.batches(1100, 2, 50))
        np.testing.assert_array_equal(again[1].frames.numpy(), wanted[23])
    finally:
        loader.close()


def test_a_killed_training_goes_on_with_the_very_next_frames(tmp_path: Path, small_dataset: Dataset) -> None:
    undisturbed = train(CONFIG, FrameStream(SPEC, small_dataset))
    assert undisturbed.samples == 2100
    assert undisturbed.stream is not None

    class Killed(Exception):
        pass

    def kill(report: EpochReport) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(CONFIG, FrameStream(SPEC, small_dataset), out=tmp_path / "run", callback=kill)
    resumed = train(CONFIG, FrameStream(SPEC, small_dataset, workers=2), out=tmp_path / "run")
    first, second = undisturbed.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    with pytest.raises(ConfigError, match="holds another training"):
        train(CONFIG, small_dataset, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="holds another training"):
        train(CONFIG, FrameStream({**SPEC, "seed": 4}, small_dataset), out=tmp_path / "run")


def test_the_card_says_so(tmp_path: Path) -> None:
    source = FrameStream(SPEC)
    result = train({**CONFIG, "max_epochs": 1, "epoch_samples": None}, source)
    assert result.samples == 1350, "an epoch is the train frames of the spec"
    artifact = save_artifact(tmp_path / "a", result, name="streamed", dataset=source, training=result.record())
    assert "the first 1,350 of an endless stream, each seen once" in artifact.card
    assert "| stream.spec.seed | 3 |" in artifact.card
    assert artifact.training["stream"]["spec"]["size"] == 1500


def test_the_loss_must_suit_the_game() -> None:
    source = FrameStream({"game": "coinrun", "distribution_mode": "easy", "balance": "basic", "size": 100})
    with pytest.raises(DatasetError, match="semantic map"):
        train({**CONFIG, "loss": {"weighting": "classes"}}, source)
