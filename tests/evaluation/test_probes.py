"""Probes find what is there, find nothing where nothing is, and do so again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from heist_encoders.data.dataset import Dataset
from heist_encoders.evaluation import probing
from heist_encoders.evaluation.probes import Standardiser, binary_loss, train_probe
from heist_encoders.evaluation.probing import ProbeData, ProbeResult, probe_encodings, sample_rows
from heist_encoders.evaluation.semantic_probe import shown_classes
from heist_encoders.semantic import coarsen
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.tasks.targets import Answers
from tests.evaluation.planted import TARGETS, make_questions, noise, planted


def probe(x: Any, train: ProbeData, x_test: Any, test: ProbeData, **options: Any) -> ProbeResult:
    return probe_encodings(x, train, x_test, test, targets=TARGETS, **options)


def test_planted_answers_of_all_targets_are_recovered() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(3000, rng), make_questions(500, rng)
    found = probe(planted(train, rng), train, planted(test, rng), test)
    names = [name for target in TARGETS for name in target.figures]
    assert sorted(found.figures) == sorted([*names, *(f"linear_{name}" for name in names)])
    for name, value in found.figures.items():
        assert value < 3 if name.endswith("_px") else value > 0.95, name
    assert set(found.by_thing["exit"]) >= {"f1", "linear_f1", "recall", "position_error_px", "positives"}
    assert found.by_thing["exit"]["f1"] > 0.95


def test_noise_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(1500, rng), make_questions(500, rng)
    figures = probe(noise(1500, 40, rng), train, noise(500, 40, rng), test).figures
    assert figures["linear_presence_f1"] < 0.3
    assert figures["presence_f1"] < 0.3
    assert figures["position_error_px"] > 12  # guessing the middle of 2..62 costs 15 on average
    assert figures["subgoal_accuracy"] < 0.3
    assert figures["next_move_accuracy"] < 0.25


def test_linear_probe_cannot_read_xor_but_the_mlp_can() -> None:
    rng = np.random.default_rng(1)

    def make(count: int) -> tuple[Any, ProbeData]:
        a, b = rng.integers(0, 2, (2, count))
        asked = np.repeat((a ^ b)[:, None], len(ELEMENTS), 1).astype(np.float32)
        x = np.stack([a, b], 1) + 0.05 * rng.standard_normal((count, 2))
        return x.astype(np.float32), ProbeData({"presence": Answers(asked, np.ones_like(asked))}, None)

    (x, train), (x_test, test) = make(3000), make(500)
    found = probe_encodings(x, train, x_test, test, targets=TARGETS[:1], fast=True)
    assert found.figures["presence_f1"] > 0.95
    assert found.figures["linear_presence_f1"] < 0.8


def test_same_seed_same_figures_and_no_global_randomness() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(400, rng), make_questions(200, rng)
    x, x_test = planted(train, rng), planted(test, rng)
    before = torch.random.get_rng_state()
    first = probe(x, train, x_test, test, seed=3, fast=True)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    second = probe(x, train, x_test, test, seed=3, fast=True)
    other = probe(x, train, x_test, test, seed=4, fast=True)
    a, b = first.to_dict(), second.to_dict()
    assert a.pop("seconds") >= 0
    b.pop("seconds")
    assert a == b
    assert first.figures != other.figures


def test_presence_is_read_off_exact_maps(small_dataset: Dataset) -> None:
    labels, source = small_dataset.labels("train"), small_dataset.semantic_maps("train")
    maps = coarsen(source.pick(np.arange(len(labels))), len(source.classes))
    presence = TARGETS[0]
    answers = presence.load(labels)
    outputs = presence.read_off(shown_classes(maps, len(source.classes)) - np.float32(0.5), source.classes)
    assert outputs is not None
    assert outputs.shape == answers.values.shape
    assert presence.score(outputs, answers).figures["presence_f1"] > 0.99
    # Maps of other classes say nothing.
    assert presence.read_off(np.zeros((4, 2), np.float32), ("floor", "wall")) is None


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(300, rng), make_questions(200, rng)
    x, x_test = noise(300, 8, rng), noise(200, 8, rng)
    single = [probe(x, train, x_test, test, seed=s, fast=True) for s in (0, 1, 2)]
    found = probe(x, train, x_test, test, seed=0, seeds=3, fast=True)
    for name in ("presence_f1", "linear_next_move_accuracy", "position_median_px"):
        values = [result.figures[name] for result in single]
        assert found.figures[name] == pytest.approx(np.mean(values))
        assert found.std[name] == pytest.approx(np.std(values))
    assert set(found.std) == set(found.figures)
    assert found.by_thing["exit"]["f1"] == pytest.approx(np.mean([r.by_thing["exit"]["f1"] for r in single]))
    assert single[0].std == {}


def test_cores_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (count, 16, 16)).astype(np.uint8) for count in (64, 32)]
    train, test = (make_questions(len(part), rng)._replace(maps=part) for part in maps)
    x, x_test = planted(train, rng), planted(test, rng)
    monkeypatch.setattr(probing, "FAST_MAPS", probing.MapProbeSettings(samples=128, batch_size=32))
    found = []
    for cores in (1, 3):
        monkeypatch.setattr(probing, "cpu_count", lambda cores=cores: cores)
        found.append(probe(x, train, x_test, test, seeds=3, classes=("a", "b", "c"), fast=True))
    first, second = (f.to_dict() | {"seconds": 0} for f in found)
    assert first == second
    assert np.array_equal(found[0].maps, found[1].maps)  # type: ignore[arg-type]
    assert set(first["std"]) >= {"miou", "presence_f1", "linear_presence_f1", "next_move_accuracy"}
    assert first["std"]["miou"] > 0


def test_unknown_entries_do_not_teach() -> None:
    # Rows masked out carry the opposite answer: a probe that read them would fail.
    x = torch.cat([torch.full((200, 1), -1.0), torch.full((200, 1), 1.0), torch.full((800, 1), 1.0)])
    y = torch.cat([torch.zeros(200, 1), torch.ones(200, 1), torch.zeros(800, 1)])
    weights = torch.cat([torch.ones(400, 1), torch.zeros(800, 1)])
    predict = train_probe(x, y, weights, binary_loss, hidden=None, seed=0)
    assert float(predict(torch.tensor([[1.0]]))) > 0
    assert float(predict(torch.tensor([[-1.0]]))) < 0


def test_standardiser_is_safe_on_constant_and_broken_dimensions() -> None:
    x = torch.tensor([[1.0, 5.0, float("nan")], [3.0, 5.0, 0.0]])
    z = Standardiser.fit(x)(x)
    assert torch.equal(z, torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    # A constant that changes only in the test split stays silent instead of exploding.
    assert float(Standardiser.fit(x)(torch.tensor([[2.0, 900.0, 0.0]]))[0, 1]) == 0


def test_constant_encodings_do_not_crash() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(100, rng), make_questions(50, rng)
    found = probe(np.zeros((100, 4), np.float32), train, np.zeros((50, 4), np.float32), test, fast=True)
    assert found.figures["presence_f1"] == 0
    assert found.to_dict()["latent_dimension"] == 4


def test_what_nobody_knows_has_no_figure() -> None:
    rng = np.random.default_rng(0)
    train, test = make_questions(60, rng), make_questions(40, rng)
    for part in (train, test):
        part.answers["next_move"].known[:] = 0
    found = probe(noise(60, 4, rng), train, noise(40, 4, rng), test, seeds=2, fast=True)
    assert np.isnan(found.figures["next_move_accuracy"])
    values = found.to_dict()
    assert values["next_move_accuracy"] is None
    assert values["std"]["next_move_accuracy"] is None


def test_sample_rows() -> None:
    assert sample_rows(5, 10).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(1000, 100)
    assert len(set(rows.tolist())) == 100
    assert np.array_equal(rows, np.sort(rows))
    assert np.array_equal(rows, sample_rows(1000, 100))
