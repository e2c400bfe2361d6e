"""What is planned and what is done, and the best epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from heist_encoders.training.best import BestEpoch
from heist_encoders.training.budget import Budget
from heist_encoders.training.config import default_config
from heist_encoders.training.distributed import Unseen
from heist_encoders.training.report import EpochReport


def budget(**settings: Any) -> Budget:
    return Budget(default_config("conv_maxpool", **settings), epoch_steps=3, batch_size=10)


def test_samples() -> None:
    found = budget(max_samples=45, max_epochs=9)
    assert (found.planned, found.next_steps(), found.spent, found.done(0.0)) == (45, 3, False, 0.0)
    found.samples = 30
    assert (found.next_steps(), found.spent, found.seconds_left(1.0, 5.0)) == (2, False, 3.0)
    found.samples = 50
    assert (found.spent, found.done(0.0)) == (True, 1.0)


def test_seconds() -> None:
    found = budget(max_seconds=8.0, max_epochs=9)
    found.seconds = 9.0
    assert not found.spent, "there is always one epoch"
    found.samples = 30
    assert found.spent
    assert (found.out_of_time(7.9), found.out_of_time(8.0)) == (False, True)
    assert found.done(4.0) == 0.5
    assert found.seconds_left(6.0, 1.0) == 2.0


def test_the_best_epoch_keeps_a_copy_of_its_weights() -> None:
    model, best = nn.Linear(1, 1, bias=False), BestEpoch()
    assert [best.offer(epoch, loss, model) for epoch, loss in enumerate([3.0, 2.0, 2.0])] == [True, True, False]
    weight = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    assert (best.epoch, best.test_loss) == (1, 2.0)
    torch.testing.assert_close(best.weights["weight"], weight)


def test_each_epoch_of_several_processes_is_reported_once() -> None:
    history = [EpochReport(i, 1.0, 1.0, {"mse": 0.1}, 1, 1, 1, 1.0, 1.0, True).to_dict() for i in range(5)]
    seen: list[int] = []
    receive = Unseen(lambda report: seen.append(report.epoch), 1)
    for count in (2, 2, 5, 4):  # the reports of epochs 2 and 3 were lost, and the last came late
        receive(history[:count])
    assert seen == [1, 2, 3, 4]
