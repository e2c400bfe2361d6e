"""Probes find what is there, find nothing where nothing is, and are scored as the definitions say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heist_encoders.evaluation.targets import Targets, box_centres, move_distribution, visibility_labels
from heist_encoders.evaluation.usefulness import move_accuracy, probe_encodings, sample_rows

from heist_encoders.evaluation.probes import Standardiser, binary_loss, f1_scores, mean_known, train_probe


def make_targets(count: int, rng: np.random.Generator) -> Targets:
    visible = (rng.random((count, 7)) < 0.3).astype(np.float32)
    progress = rng.integers(0, 7, count)
    moves = np.zeros((count, 9), np.float32)
    moves[np.arange(count), rng.integers(0, 9, count)] = 1
    return Targets(
        elements=visible,
        elements_known=np.ones((count, 7), bool),
        positions=rng.uniform(2, 62, (count, 7, 2)).astype(np.float32),
        positions_known=visible.astype(bool),
        held=np.stack([progress >= 1, progress >= 3, progress >= 5], 1).astype(np.float32),
        progress=progress.astype(np.int64),
        moves=moves,
    )


def planted(targets: Targets, rng: np.random.Generator) -> np.ndarray:
    """Encodings that hold every answer, mixed by a fixed rotation."""
    count = len(targets.progress)
    answers = np.concatenate(
        [
            targets.elements,
            (targets.positions.reshape(count, -1) - 32) / 16,
            targets.held,
            np.eye(7)[targets.progress],
            targets.moves,
        ],
        axis=1,
    )
    mixing, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((answers.shape[1],) * 2))
    return (answers @ mixing + 0.01 * rng.standard_normal(answers.shape)).astype(np.float32)


def test_planted_answers_are_recovered() -> None:
    rng = np.random.default_rng(0)
    train, test = make_targets(4000, rng), make_targets(500, rng)
    found = probe_encodings(planted(train, rng), train, planted(test, rng), test)
    assert found.linear_f1 > 0.97
    assert found.mlp_f1 > 0.97
    assert found.position_error_px is not None
    assert found.position_error_px < 3
    assert found.held_accuracy is not None
    assert found.held_accuracy > 0.97
    assert found.progress_accuracy is not None
    assert found.progress_accuracy > 0.97
    assert found.oracle_move_accuracy is not None
    assert found.oracle_move_accuracy > 0.97


def test_noise_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    train, test = make_targets(1500, rng), make_targets(500, rng)
    found = probe_encodings(
        rng.standard_normal((1500, 40)).astype(np.float32),
        train,
        rng.standard_normal((500, 40)).astype(np.float32),
        test,
    )
    assert found.linear_f1 < 0.3
    assert found.mlp_f1 < 0.3
    assert found.position_error_px is not None
    assert found.position_error_px > 12  # guessing the middle of 2..62 costs 15 on average
    assert found.oracle_move_accuracy is not None
    assert found.oracle_move_accuracy < 0.25


def test_linear_probe_cannot_read_xor_but_the_mlp_can() -> None:
    rng = np.random.default_rng(1)

    def make(count: int) -> tuple[np.ndarray, Targets]:
        targets = make_targets(count, rng)
        a, b = rng.integers(0, 2, (2, count))
        elements = np.repeat((a ^ b)[:, None], 7, 1).astype(np.float32)
        x = np.stack([a, b], 1) + 0.05 * rng.standard_normal((count, 2))
        return x.astype(np.float32), Targets(**{**vars(targets), "elements": elements})

    x, train = make(4000)
    x_test, test = make(500)
    found = probe_encodings(x, train, x_test, test, fast=True)
    assert found.mlp_f1 > 0.95
    assert found.linear_f1 < 0.8


def test_same_seed_same_figures_and_no_global_randomness() -> None:
    rng = np.random.default_rng(0)
    train, test = make_targets(600, rng), make_targets(200, rng)
    x, x_test = planted(train, rng), planted(test, rng)
    before = torch.random.get_rng_state()
    first = probe_encodings(x, train, x_test, test, seed=3)
    torch.manual_seed(99)
    second = probe_encodings(x, train, x_test, test, seed=3)
    other = probe_encodings(x, train, x_test, test, seed=4)
    assert np.array_equal(first.probabilities, second.probabilities)
    a, b = first.to_dict(), second.to_dict()
    assert a.pop("seconds") >= 0
    b.pop("seconds")
    assert a == b
    assert not np.array_equal(first.probabilities, other.probabilities)
    torch.random.set_rng_state(before)
    probe_encodings(x, train, x_test, test, fast=True)
    assert torch.equal(before, torch.random.get_rng_state())


def test_several_seeds_give_mean_and_deviation() -> None:
    rng = np.random.default_rng(0)
    train, test = make_targets(400, rng), make_targets(200, rng)
    x = rng.standard_normal((400, 8)).astype(np.float32)
    x_test = rng.standard_normal((200, 8)).astype(np.float32)
    single = [probe_encodings(x, train, x_test, test, seed=s, fast=True).mlp_f1 for s in (0, 1, 2)]
    found = probe_encodings(x, train, x_test, test, seed=0, seeds=3, fast=True)
    assert found.mlp_f1 == pytest.approx(np.mean(single))
    assert found.std["mlp_f1"] == pytest.approx(np.std(single))


def test_cores_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    import heist_encoders.evaluation.usefulness as module

    rng = np.random.default_rng(0)
    train, test = make_targets(600, rng), make_targets(200, rng)
    x, x_test = planted(train, rng), planted(test, rng)
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(module, "cpu_count", lambda cores=cores: cores)
        found.append(probe_encodings(x, train, x_test, test, seeds=3))
    first, second = (f.to_dict() | {"seconds": 0} for f in found)
    assert first == second
    assert np.array_equal(found[0].probabilities, found[1].probabilities)
    assert set(first["std"]) >= {"mlp_f1", "linear_f1", "position_error_px", "oracle_move_accuracy"}


def test_partly_visible_rows_neither_teach_nor_count() -> None:
    visible = np.array([[0.0, 0.5, 0.49, 1.0, 0.01, 0.0, 0.75]], np.float32)
    labels, known = visibility_labels(visible)
    assert labels.tolist() == [[0, 1, 0, 1, 0, 0, 1]]
    assert known.tolist() == [[True, True, False, True, False, True, True]]
    # Rows masked out carry the opposite answer: a probe that read them would fail.
    x = torch.cat([torch.full((200, 1), -1.0), torch.full((200, 1), 1.0), torch.full((800, 1), 1.0)])
    y = torch.cat([torch.zeros(200, 1), torch.ones(200, 1), torch.zeros(800, 1)])
    weights = torch.cat([torch.ones(400, 1), torch.zeros(800, 1)])
    predict = train_probe(x, y, weights, binary_loss, hidden=None, seed=0)
    assert float(predict(torch.tensor([[1.0]]))) > 0
    assert float(predict(torch.tensor([[-1.0]]))) < 0


def test_f1_by_hand() -> None:
    actual = np.array([[1, 0], [1, 0], [1, 0], [0, 0], [0, 0]], bool)
    predicted = np.array([[1, 1], [1, 0], [0, 0], [1, 0], [1, 0]], bool)
    known = np.array([[1, 1], [1, 1], [1, 1], [1, 1], [0, 1]], bool)  # the last row of column 0 doesn't count
    counts = f1_scores(predicted, actual, known)
    assert counts.f1[0] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))  # TP 2, FP 1, FN 1
    assert counts.precision[0] == pytest.approx(2 / 3)
    assert counts.recall[0] == pytest.approx(2 / 3)
    assert counts.positives.tolist() == [3, 0]
    assert np.isnan(counts.f1[1])
    assert mean_known(counts.f1) == pytest.approx(2 / 3)
    nothing_found = f1_scores(np.zeros_like(actual), actual, known)
    assert nothing_found.f1[0] == 0


def test_standardiser_is_safe_on_constant_and_broken_dimensions() -> None:
    x = torch.tensor([[1.0, 5.0, float("nan")], [3.0, 5.0, 0.0]])
    z = Standardiser.fit(x)(x)
    assert torch.equal(z, torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    # A constant that changes only in the test split stays silent instead of exploding.
    assert float(Standardiser.fit(x)(torch.tensor([[2.0, 900.0, 0.0]]))[0, 1]) == 0


def test_constant_encodings_do_not_crash() -> None:
    rng = np.random.default_rng(0)
    train, test = make_targets(100, rng), make_targets(50, rng)
    found = probe_encodings(np.zeros((100, 4), np.float32), train, np.zeros((50, 4), np.float32), test)
    assert found.mlp_f1 == 0
    assert found.to_dict()["latent_dimension"] == 4


def test_moves_and_centres() -> None:
    moves = move_distribution(np.array([0, 1, 0b101, 1 << 8], np.int64))
    assert moves.sum(1).tolist() == [0, 1, 1, 1]
    assert moves[2, [0, 2]].tolist() == [0.5, 0.5]
    assert moves[3, 8] == 1
    # Row 0 has no known move and is left out; rows 1 and 2 are right, row 3 is wrong.
    assert move_accuracy(np.array([4, 0, 2, 7]), moves) == pytest.approx(2 / 3)
    assert box_centres(np.array([[10, 20, 13, 30]], np.int16)).tolist() == [[11.5, 25.0]]


def test_sample_rows() -> None:
    assert sample_rows(5, 10).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(1000, 100)
    assert len(set(rows.tolist())) == 100
    assert np.array_equal(rows, np.sort(rows))
    assert np.array_equal(rows, sample_rows(1000, 100))
