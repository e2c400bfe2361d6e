"""One model, several processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import create_autoencoder, to_input
from heist_encoders.errors import ConfigError, ResourceError
from heist_encoders.training.config import LossConfig
from heist_encoders.training.distributed import train_distributed
from heist_encoders.training.objective import Batch, Context, Objective
from heist_encoders.training.train import train
from tests.training.fakes import CLASSES, Squares

pytestmark = [pytest.mark.ray, pytest.mark.slow]

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset

CONFIG: dict[str, Any] = {
    "autoencoder": "conv_maxpool",
    "params": {"channels": [4, 2], "decoder_channels": [8, 8, 4], "latent_size": 8},
    "batch_size": 64,
    "learning_rate": 1e-3,
    "epoch_samples": 384,
    "test_samples": 51,
    "max_epochs": 3,
    "precision": "float32",
}
TOLERANCE = 0.05
"""Of the test losses: batch normalisation sees half a batch."""


@pytest.mark.parametrize("loss", [{"weighting": "classes"}, {"weighting": "none", "perceptual": 0.1}])
def test_the_parts_of_a_batch_have_the_gradient_of_the_whole(loss: dict[str, Any]) -> None:
    data = Squares(32, 2)
    model = create_autoencoder("conv_maxpool", CONFIG["params"]).eval()  # batch normalisation sees no batch
    objective = Objective(LossConfig(**loss), model, Context(CLASSES))
    batch = Batch(torch.tensor(data.frames("train")), torch.from_numpy(data.semantic_maps("train").maps))
    frames = to_input(np.array(data.frames("train")))

    def gradients(shards: list[slice | None]) -> tuple[float, list[torch.Tensor]]:
        total = 0.0
        model.zero_grad()
        for shard in shards:
            own = frames if shard is None else frames[shard]
            terms = objective(model, own, model(own), batch, shard=shard)
            (terms.total / len(shards)).backward()
            total += float(terms.total.detach()) / len(shards)
        return total, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole, wanted = gradients([None])
    halves, found = gradients([slice(0, 16), slice(16, 32)])
    assert halves == pytest.approx(whole, rel=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_two_processes_train_as_one_does(ray_local: None, small_dataset: Dataset, tmp_path: Path) -> None:
    alone = train(CONFIG, small_dataset)
    train({**CONFIG, "max_epochs": 1}, small_dataset, out=tmp_path / "run")
    told: list[int] = []
    together = train_distributed(
        CONFIG, small_dataset, workers=2, out=tmp_path / "run", callback=lambda report: told.append(report.epoch)
    )
    assert told == [1, 2], "two go on with what one began, and each epoch is told of once"
    for mine, theirs in zip(together.history, alone.history, strict=True):
        assert mine.samples == theirs.samples
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=TOLERANCE)
        assert mine.test_loss == pytest.approx(theirs.test_loss, rel=TOLERANCE)
    assert together.test_loss != alone.test_loss, "batch normalisation saw other batches"
    assert not (tmp_path / "run" / "ray").exists()
    longer = train({**CONFIG, "max_epochs": 4}, small_dataset, out=tmp_path / "run")
    assert [report.epoch for report in longer.history] == [0, 1, 2, 3], "and one goes on with what two left"


def test_what_is_wrong_is_said_in_one_line(ray_local: None, small_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size = 64 cannot be split evenly over 3 processes"):
        train_distributed(CONFIG, small_dataset, workers=3)
    with pytest.raises(ConfigError, match="workers = 0"):
        train_distributed(CONFIG, small_dataset, workers=0)
    with pytest.raises(ConfigError, match="dataset is Squares, expected what open_dataset gives or a FrameStream"):
        train_distributed(CONFIG, Squares())  # type: ignore[arg-type]
    with pytest.raises(ResourceError, match="4 CPUs asked for"):
        train_distributed(CONFIG, small_dataset, workers=4, out=tmp_path / "run")
    if torch.cuda.device_count() < 2:
        with pytest.raises(ResourceError, match="2 GPUs asked for and Ray has"):
            train_distributed(CONFIG, small_dataset, workers=2, use_gpu=True, out=tmp_path / "gpu")
