from __future__ import annotations

import numpy as np
import pytest
import torch

from heist_encoders.errors import ConfigError
from heist_encoders.policies.planner import (
    Planner,
    PlannerConfig,
    PlannerPolicy,
    fit_head,
    fit_planner,
    plan_accuracy,
    plan_logits,
    plan_loss,
)

SMALL = PlannerConfig(channels=16, iterations=8, hidden=32, grid=5)


def target_side(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An agent and a target on a 5x5 grid; the move is towards the target's side, left (1) or right (7)."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((count, 2, 5, 5), np.float32)
    moves = np.zeros((count, 9), np.float32)
    for row in range(count):
        x, other = rng.choice(5, 2, replace=False)
        maps[row, 0, rng.integers(5), x] = 1
        maps[row, 1, rng.integers(5), other] = 1
        moves[row, 7 if other > x else 1] = 1
    return maps, moves


@pytest.mark.parametrize("shape", [(12, 9, 9), (32, 6, 6), (64,), (128, 1, 1)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    encodings = torch.randn(3, *shape)
    model = PlannerPolicy(shape).eval()
    logits, values = model(encodings)
    assert logits.shape == (3, 9)
    assert values.shape == (3,)
    assert torch.allclose(model(encodings.flatten(1))[0], logits)
    assert model.planner(encodings).shape == (3, 128)


def test_size() -> None:
    assert 20_000 < sum(p.numel() for p in PlannerPolicy((12, 9, 9)).parameters()) < 45_000


@pytest.mark.parametrize("shape", [(), (3, 4), (0, 9, 9)])
def test_impossible_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Planner(shape)


def test_even_kernel() -> None:
    with pytest.raises(ConfigError, match="odd"):
        Planner((1, 2, 2), PlannerConfig(kernel=2))


def test_far_cells_reach_each_other() -> None:
    """The plan at one corner depends on the encoding at the other one, as far as the iterations carry."""
    for iterations, reaches in ((1, False), (12, True)):
        planner = Planner((3, 9, 9), PlannerConfig(iterations=iterations, kernel=1))
        encodings = torch.randn(1, 3, 9, 9, requires_grad=True)
        plan = planner.stem(encodings) + planner.position
        h = plan.relu()
        for _ in range(iterations):
            h = (h + (planner.step(h) + plan).relu()) / 2
        (gradient,) = torch.autograd.grad(h[0, :, 0, 0].sum(), encodings)
        assert bool(gradient[0, :, 8, 8].abs().sum() > 0) is reaches


@pytest.mark.parametrize("flat", [False, True])
def test_learns(flat: bool) -> None:
    encodings, moves = target_side(2000, 0)
    unseen, answers = target_side(500, 1)
    if flat:
        encodings, unseen = encodings.reshape(2000, -1), unseen.reshape(500, -1)
    seen: list[int] = []
    model = fit_planner(
        encodings, moves, samples=8_000, config=SMALL, lr=5e-3, progress=lambda done, _: seen.append(done)
    )
    assert plan_accuracy(plan_logits(model, unseen), answers) > 0.9
    assert seen[-1] == 8_000


def test_same_seed_same_head() -> None:
    encodings, moves = target_side(200, 0)
    first, again, other = (
        plan_logits(fit_planner(encodings, moves, samples=400, config=SMALL, seed=seed), encodings)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_rows_without_moves_do_not_count() -> None:
    encodings, moves = target_side(64, 0)
    blank = moves.copy()
    blank[::2] = 0
    noise = encodings.copy()
    noise[::2] = 100
    options = {"samples": 128, "config": SMALL, "batch_size": 32}
    clean = fit_planner(encodings[1::2], moves[1::2], **options)
    np.testing.assert_array_equal(
        plan_logits(clean, encodings), plan_logits(fit_planner(noise, blank, **options), encodings)
    )
    logits = torch.randn(64, 9)
    assert plan_accuracy(logits, blank) == plan_accuracy(logits[1::2], moves[1::2])
    assert plan_loss(logits, torch.tensor(blank)) == pytest.approx(
        float(plan_loss(logits[1::2], torch.tensor(moves[1::2])))
    )
    with pytest.raises(ConfigError, match="no row"):
        fit_planner(encodings, np.zeros_like(moves), samples=1)


def test_accuracy_takes_any_move_of_the_oracle() -> None:
    logits = np.eye(9, dtype=np.float32)[[0, 1, 2]]
    moves = np.zeros((3, 9), np.float32)
    moves[0, [0, 5]] = 0.5
    moves[1, 2] = 1
    assert plan_accuracy(logits, moves) == 0.5


def test_workers_share_a_batch() -> None:
    """The gradient of two parts is that of the batch, so that the heads agree but for rounding."""
    encodings, moves = target_side(130, 0)
    options = {"samples": 390, "batch_size": 13}
    heads = [PlannerPolicy((2, 5, 5), SMALL) for _ in range(2)]
    heads[1].load_state_dict(heads[0].state_dict())
    losses: list[list[float]] = [[], []]
    for workers, head, seen in zip((1, 2), heads, losses, strict=True):
        fit_head(
            head, encodings, moves, workers=workers, progress=lambda _, loss, seen=seen: seen.append(loss), **options
        )
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    np.testing.assert_allclose(plan_logits(heads[1], encodings), plan_logits(heads[0], encodings), atol=1e-2)
    assert losses[0][-1] < losses[0][0]
