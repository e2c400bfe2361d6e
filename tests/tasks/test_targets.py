"""Targets of probes: answers, scores and guesses, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from heist_encoders.tasks.registry import task_of
from heist_encoders.tasks.targets import (
    Answers,
    Category,
    Flags,
    NextMove,
    Position,
    Presence,
    ProbeTarget,
    f1_scores,
    mean_known,
    move_distribution,
)

TARGETS = task_of("heist").probe_targets()


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


def test_partly_visible_elements_are_unknown() -> None:
    names = [f"e{i}" for i in range(7)]
    visible = [0.0, 0.5, 0.49, 1.0, 0.01, 0.0, 0.75]
    answers = Presence(names).load(
        {f"visible_{n}": np.array([v], np.float32) for n, v in zip(names, visible, strict=True)}
    )
    assert answers.values.tolist() == [[0, 1, 0, 1, 0, 0, 1]]
    assert answers.known.tolist() == [[1, 1, 0, 1, 0, 1, 1]]


def test_positions_are_centres_of_boxes_in_pixels() -> None:
    target = Position(["a", "b"])
    labels = {"visible_a": [1.0, 1.0, 0.2], "visible_b": [0.0, 0.6, 0.0]}
    for name, box in (("a", (10, 20, 13, 30)), ("b", (0, 60, 4, 64))):
        labels |= {f"{name}_{side}": [value] * 3 for side, value in zip(("x0", "y0", "x1", "y1"), box, strict=True)}
    answers = target.load(labels)
    assert (answers.values[1] * 32 + 32).tolist() == [11.5, 25.0, 2.0, 62.0]
    assert answers.known.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    said = answers.values.copy()
    said[0] += [1 / 32, -3 / 32, 1, 1]  # an error where nothing is known costs nothing
    scores = target.score(said, answers)
    assert scores.figures["position_error_px"] == pytest.approx(4 / 6, abs=1e-4)
    assert scores.figures["position_median_px"] == pytest.approx(0, abs=1e-4)
    assert scores.by_thing["a"]["position_error_px"] == pytest.approx(1, abs=1e-4)
    assert scores.by_thing["b"]["position_error_px"] == pytest.approx(0, abs=1e-4)


def test_moves() -> None:
    moves = move_distribution(np.array([0, 1, 0b101, 1 << 8], np.int64))
    assert moves.sum(1).tolist() == [0, 1, 1, 1]
    assert moves[2, [0, 2]].tolist() == [0.5, 0.5]
    assert moves[3, 8] == 1
    # Row 0 has no known move and is left out; rows 1 and 2 are right, row 3 is wrong.
    target = NextMove()
    answers = target.load({"oracle_moves": np.array([0, 1, 0b101, 1 << 8])})
    said = np.eye(9, dtype=np.float32)[[4, 0, 2, 7]]
    assert target.score(said, answers).figures["next_move_accuracy"] == pytest.approx(2 / 3)
    nobody_knows = target.load({"oracle_moves": np.array([0, 0])})
    assert np.isnan(target.score(said[:2], nobody_knows).figures["next_move_accuracy"])


def test_flags_and_categories() -> None:
    flags = Flags("inventory", ["a", "b"], "keys held")
    answers = flags.load({"a": np.array([1, 0, 1, 1]), "b": np.array([0, 0, 0, 0])})
    scores = flags.score(np.array([[1, -1], [1, -1], [1, 1], [-1, -1]], np.float32), answers)
    assert scores.figures["inventory_accuracy"] == pytest.approx(5 / 8)
    assert scores.figures["inventory_f1"] == pytest.approx(4 / 6)  # of a alone: b is never held
    category = Category("subgoal", "progress", 4, "subgoals done")
    answers = category.load({"progress": np.array([0, 3, 3, 1])})
    assert category.guess(answers).argmax() == 3
    said = np.broadcast_to(category.guess(answers), (4, 4))
    assert category.score(said, answers).figures["subgoal_accuracy"] == 0.5


def of_heist(small_dataset: Any, target: ProbeTarget) -> Answers:
    return target.load(small_dataset.labels("train"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_true_answers_score_best_and_the_guess_worse(small_dataset: Any, target: ProbeTarget) -> None:
    answers = of_heist(small_dataset, target)
    assert answers.values.shape == answers.known.shape
    assert answers.values.dtype == answers.known.dtype == np.float32
    assert set(np.unique(answers.known)) <= {0, 1}
    assert answers.known.any()
    told = answers.values - (0.5 if target.loss == "binary" else 0)
    best = target.score(told, answers)
    guessed = target.score(np.broadcast_to(target.guess(answers), answers.values.shape), answers)
    assert list(best.figures) == list(guessed.figures) == list(target.figures)
    for name, value in best.figures.items():
        if name.endswith("_px"):
            assert value == pytest.approx(0, abs=1e-4)
            assert guessed.figures[name] > 2
        else:
            assert value == 1
            assert guessed.figures[name] < 0.95


def test_names_of_targets_and_figures_are_unique() -> None:
    for game in ("heist", "maze"):
        targets = task_of(game).probe_targets()
        figures = [name for target in targets for name in target.figures]
        assert len({target.name for target in targets}) == len(targets)
        assert len(set(figures)) == len(figures)
