from __future__ import annotations

import torch
from torch import nn

from heist_encoders.training.optimizer import Optimizer


def trained(optimizer: Optimizer, weights: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        for weight in weights:
            weight.grad = (weight.detach() * 2 + step).clone()
        optimizer.step()


def some_weights() -> list[nn.Parameter]:
    torch.manual_seed(0)
    image = torch.randn(4, 3, 2, 2)
    return [
        nn.Parameter(image.contiguous(memory_format=torch.channels_last)),
        nn.Parameter(torch.randn(3, 3, 3, 3).contiguous(memory_format=torch.channels_last)),
        nn.Parameter(torch.randn(5, 2)),
    ]


def test_it_steps_as_adamw_does_whatever_the_layout() -> None:
    weights, plain = some_weights(), [nn.Parameter(w.detach().contiguous()) for w in some_weights()]
    optimizer = Optimizer(weights, learning_rate=0.1, weight_decay=0.02)
    trained(optimizer, weights, range(2))
    optimizer.set_learning_rate(0.05)
    trained(optimizer, weights, range(2, 5))
    reference = torch.optim.AdamW(plain, lr=0.1, weight_decay=0.02, fused=True)
    for step in range(5):
        reference.param_groups[0]["lr"] = 0.1 if step < 2 else 0.05
        for weight in plain:
            weight.grad = (weight.detach() * 2 + step).clone()
        reference.step()
    for weight, wanted in zip(weights, plain, strict=True):
        torch.testing.assert_close(weight.detach().contiguous(), wanted.detach(), rtol=1e-6, atol=1e-7)
    assert weights[0].is_contiguous(memory_format=torch.channels_last)


def test_it_goes_on_where_it_was() -> None:
    weights = some_weights()
    optimizer = Optimizer(weights, learning_rate=0.1, weight_decay=0.0)
    trained(optimizer, weights, range(3))
    middle = [w.detach().clone() for w in weights]
    tensors = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    assert all(tensors[f"{i}.exp_avg"].shape == w.shape for i, w in enumerate(weights))
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    trained(optimizer, weights, range(3, 6))

    others = [nn.Parameter(w.clone()) for w in middle]
    again = Optimizer(others, learning_rate=0.1, weight_decay=0.0)
    again.restore(tensors)
    trained(again, others, range(3, 6))
    assert all(torch.equal(other, weight) for other, weight in zip(others, weights, strict=True))
