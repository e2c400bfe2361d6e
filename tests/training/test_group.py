"""The group that trains one model, here of one process: what several do is in test_distributed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from heist_encoders.autoencoders import Output
from heist_encoders.autoencoders.vae import VaePaper
from heist_encoders.training.config import TrainConfig
from heist_encoders.training.distributed import DDP_OPTIONS
from heist_encoders.training.group import ProcessGroup, SingleProcess
from heist_encoders.training.train import Run
from tests.training.fakes import Squares

CPU = torch.device("cpu")


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield ProcessGroup(CPU, functools.partial(DistributedDataParallel, **DDP_OPTIONS))
    torch.distributed.destroy_process_group()


def test_shards_are_equal_and_cover_the_batch(group: ProcessGroup) -> None:
    assert SingleProcess().shard(8) is None
    group.world_size, rows = 4, list(range(8))
    shards = []
    for group.rank in range(4):
        shard = group.shard(8)
        assert shard is not None
        shards += rows[shard]
    assert shards == rows


def test_values_of_one_process_stay(group: ProcessGroup) -> None:
    assert group.broadcast([0.1, 7]) == [0.1, 7.0]
    value = torch.tensor(3.0)
    assert float(group.mean(value)) == 3.0
    assert group.mean(value) is not value


class LearnedPrior(VaePaper):
    """A parameter that only the KL divergence sees, and one that nothing does."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.prior = nn.Parameter(torch.zeros(()))
        self.idle = nn.Parameter(torch.zeros(()))

    def loss_function(self, frames: Tensor, output: Output, **options: Any) -> dict[str, Tensor]:
        terms = super().loss_function(frames, output, **options)
        return {**terms, "kl": terms["kl"] + (self.prior - 1).square()}


def test_a_term_that_warms_up_and_an_idle_parameter_train_under_ddp(
    group: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    import heist_encoders.training.train as module

    settings: dict[str, Any] = {
        "autoencoder": "vae_paper", "params": {"channels": [8, 8, 8, 8], "latent_size": 6}, "batch_size": 16,
        "epoch_samples": 48, "max_epochs": 2, "precision": "float32",
        "loss": {"beta": 1e-3, "beta_warmup": 0.5, "semantic_map": 0.5},
    }  # fmt: skip
    monkeypatch.setattr(module, "create_autoencoder", lambda name, params: LearnedPrior(LearnedPrior.Params(**params)))
    weights = []
    for processes in (group, SingleProcess()):
        with torch.random.fork_rng(devices=[]):
            result = Run(TrainConfig.from_dict(settings), Squares(), CPU, None, True, processes).go(None, None)
        weights.append(result.model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-4, atol=1e-6)
    assert weights[0]["prior"] > 0
    assert weights[0]["idle"] == 0
