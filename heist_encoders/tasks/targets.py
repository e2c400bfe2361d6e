"""What a probe can be trained to read from a frame's encoding. Numpy alone; the probes themselves are elsewhere.

A target is one object: it loads its answers from a dataset's labels, says which loss trains a probe for it, scores the
probe's outputs, knows the guess of somebody who sees no frame, and names its figures for tables. A task lists its
targets (``Task.probe_targets``); evaluation, cards, reports and reference rows show what is in the list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heist_encoders.arrays import Integers, Reals
from heist_encoders.constants import FRAME_SIZE, NUM_MOVES, VISIBLE

Floats = NDArray[np.float32]
Rows = dict[str, dict[str, float]]
"""What a figure is for each thing: name of the thing -> figure -> value."""


class Labels(Protocol):
    """Label columns (N,) by name: a pandas frame, or a mapping of arrays."""

    def __getitem__(self, name: str, /) -> ArrayLike: ...


class Answers(NamedTuple):
    """What a probe must say about N frames."""

    values: Floats
    """(N, K)."""
    known: Floats
    """(N, K): 1 where the value counts, 0 where it is unknown or ambiguous."""


class Scores(NamedTuple):
    """How well it did."""

    figures: dict[str, float]
    """Name of a figure -> value; NaN where no test frame asks."""
    by_thing: Rows
    """Figures of each single thing, if there are several; may be empty."""


class ProbeTarget(ABC):
    """Something that a probe is trained to read.

    Attributes:
        name: short, unique in its task; ``presence``.
        loss: ``binary`` (cross-entropy of each output), ``distribution`` (cross-entropy over the outputs), or
            ``absolute`` (mean absolute error).
        figures: name of each figure -> what a table calls it. The first one is the target's main figure. Those of the
            linear probe have ``linear_`` in front, those of what the semantic map says ``map_``.
    """

    name: str
    loss: Literal["binary", "distribution", "absolute"]
    figures: Mapping[str, str]

    @abstractmethod
    def load(self, labels: Labels) -> Answers:
        """The answers of N labelled frames."""

    @abstractmethod
    def score(self, outputs: Floats, answers: Answers) -> Scores:
        """Scores of a probe's outputs, float32 (N, K): logits, or values under the loss ``absolute``."""

    @abstractmethod
    def guess(self, train: Answers) -> Floats:
        """Outputs float32 (K,) of somebody who sees no frame: what is most frequent in the training frames."""

    def read_off(self, shown: Floats, classes: Sequence[str]) -> Floats | None:
        """Outputs float32 (N, K) that follow from which classes semantic maps show; None if none do.

        Args:
            shown: float32 (N, C), above 0 where the map shows the class anywhere.
            classes: names of the C classes.
        """
        return None


class Presence(ProbeTarget):
    """Whether each element is in view: yes from half of its painted box on, no if nothing is, unknown between.

    A map says yes to the elements that it shows anywhere.
    """

    name, loss = "presence", "binary"
    figures: Mapping[str, str] = {"presence_f1": "presence F1"}

    def __init__(self, elements: Sequence[str]) -> None:
        self.elements = tuple(elements)

    def load(self, labels: Labels) -> Answers:
        visible = _stack(labels, [f"visible_{element}" for element in self.elements])
        return Answers(
            (visible >= VISIBLE).astype(np.float32), ((visible >= VISIBLE) | (visible == 0)).astype(np.float32)
        )

    def score(self, outputs: Floats, answers: Answers) -> Scores:
        counts = f1_scores(outputs > 0, answers.values > 0, answers.known > 0)
        by_thing = {
            element: {
                "f1": float(counts.f1[i]),
                "precision": float(counts.precision[i]),
                "recall": float(counts.recall[i]),
                "positives": float(counts.positives[i]),
            }
            for i, element in enumerate(self.elements)
        }
        return Scores({"presence_f1": mean_known(counts.f1)}, by_thing)

    def guess(self, train: Answers) -> Floats:
        share = (train.values * train.known).sum(0) / np.maximum(train.known.sum(0), 1)
        return _floats(share - 0.5)

    def read_off(self, shown: Floats, classes: Sequence[str]) -> Floats | None:
        if not set(self.elements) <= set(classes):
            return None
        return shown[:, [classes.index(element) for element in self.elements]]


class Position(ProbeTarget):
    """Where the centre of each element's painted box is, in pixels; known where the element is in view."""

    name, loss = "position", "absolute"
    figures: Mapping[str, str] = {"position_error_px": "position error, px", "position_median_px": "median, px"}
    _HALF = FRAME_SIZE / 2
    """Targets are scaled to about +-1 by the frame's half width."""

    def __init__(self, elements: Sequence[str]) -> None:
        self.elements = tuple(elements)

    def load(self, labels: Labels) -> Answers:
        known = _stack(labels, [f"visible_{element}" for element in self.elements]) >= VISIBLE
        sides = [
            _stack(labels, [f"{element}_{side}" for element in self.elements]) for side in ("x0", "y0", "x1", "y1")
        ]
        centres = np.stack([(sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2], axis=-1)  # (N, E, 2)
        values = ((centres - self._HALF) / self._HALF).reshape(len(known), -1)
        return Answers(values.astype(np.float32), np.repeat(known, 2, axis=1).astype(np.float32))

    def score(self, outputs: Floats, answers: Answers) -> Scores:
        pixels = outputs.clip(-1, 1) * self._HALF
        errors = np.where(answers.known > 0, np.abs(pixels - answers.values * self._HALF), np.nan)
        by_thing = {
            element: {"position_error_px": mean_known(errors[:, 2 * i : 2 * i + 2])}
            for i, element in enumerate(self.elements)
        }
        known = errors[~np.isnan(errors)]
        median = float(np.median(known)) if known.size else float("nan")
        return Scores({"position_error_px": mean_known(errors), "position_median_px": median}, by_thing)

    def guess(self, train: Answers) -> Floats:
        values = np.where(train.known > 0, train.values, np.nan)
        return np.array([_median(column) for column in values.T], np.float32)


class Flags(ProbeTarget):
    """Yes or no, for some label columns."""

    loss = "binary"

    def __init__(self, name: str, columns: Sequence[str], label: str) -> None:
        self.name, self.columns = name, tuple(columns)
        self.figures = {f"{name}_f1": f"{label} F1", f"{name}_accuracy": f"{label} accuracy"}

    def load(self, labels: Labels) -> Answers:
        values = _stack(labels, self.columns).astype(np.float32)
        return Answers(values, np.ones_like(values))

    def score(self, outputs: Floats, answers: Answers) -> Scores:
        actual = answers.values > 0
        counts = f1_scores(outputs > 0, actual, answers.known > 0)
        accuracy = float(((outputs > 0) == actual).mean())
        return Scores({f"{self.name}_f1": mean_known(counts.f1), f"{self.name}_accuracy": accuracy}, {})

    def guess(self, train: Answers) -> Floats:
        return _floats(train.values.mean(0) - 0.5)


class Category(ProbeTarget):
    """A whole number from 0 on, in a label column."""

    loss = "distribution"

    def __init__(self, name: str, column: str, count: int, label: str) -> None:
        self.name, self.column, self.count = name, column, count
        self.figures = {f"{name}_accuracy": f"{label} accuracy"}

    def load(self, labels: Labels) -> Answers:
        values = np.eye(self.count, dtype=np.float32)[np.asarray(labels[self.column]).astype(np.int64)]
        return Answers(values, np.ones_like(values))

    def score(self, outputs: Floats, answers: Answers) -> Scores:
        right = outputs.argmax(1) == answers.values.argmax(1)
        return Scores({f"{self.name}_accuracy": float(right.mean())}, {})

    def guess(self, train: Answers) -> Floats:
        return _floats(train.values.mean(0))


class NextMove(ProbeTarget):
    """The oracle's next move, in the column ``oracle_moves``: any of the moves that it would make is right."""

    name, loss = "next_move", "distribution"
    figures: Mapping[str, str] = {"next_move_accuracy": "next move accuracy"}

    def load(self, labels: Labels) -> Answers:
        values = move_distribution(np.asarray(labels["oracle_moves"]))
        known = np.broadcast_to((values.sum(1, keepdims=True) > 0).astype(np.float32), values.shape)
        return Answers(values, np.ascontiguousarray(known))

    def score(self, outputs: Floats, answers: Answers) -> Scores:
        known = answers.known[:, 0] > 0
        right = answers.values[np.arange(len(outputs)), outputs.argmax(1)] > 0
        return Scores({"next_move_accuracy": float(right[known].mean()) if known.any() else float("nan")}, {})

    def guess(self, train: Answers) -> Floats:
        return _floats(train.values.mean(0))


def move_distribution(bits: Integers) -> Floats:
    """Bit sets of moves (N,) -> float32 (N, 9): uniform over the moves in the set, all 0 for an empty set."""
    members = ((bits[:, None].astype(np.int64) >> np.arange(NUM_MOVES)) & 1).astype(np.float32)
    return np.asarray(members / np.maximum(members.sum(axis=1, keepdims=True), 1), dtype=np.float32)


class Counts(NamedTuple):
    """Precision, recall and F1 of K binary questions; NaN where a question has no positive row to find.

    Attributes:
        f1, precision, recall: float64 (K,).
        positives: int64 (K,), rows to find.
    """

    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    positives: NDArray[np.int64]


def f1_scores(predicted: NDArray[np.bool_], actual: NDArray[np.bool_], known: NDArray[np.bool_]) -> Counts:
    """F1 = 2 TP / (2 TP + FP + FN) of each column, over the known entries.

    Args:
        predicted, actual, known: bool (N, K).

    Returns:
        F1 of a column with positives but none found is 0; of a column without any positive row it is NaN.
    """
    hits = (predicted & actual & known).sum(0).astype(np.float64)
    false_alarms = (predicted & ~actual & known).sum(0).astype(np.float64)
    positives = (actual & known).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(positives > 0, hits / positives, np.nan)
        precision = np.where(hits + false_alarms > 0, hits / (hits + false_alarms), 0.0)
        f1 = np.where(positives > 0, 2 * hits / (hits + false_alarms + positives), np.nan)
    return Counts(f1, np.where(positives > 0, precision, np.nan), recall, positives.astype(np.int64))


def mean_known(values: Reals) -> float:
    """Mean over what is not NaN; NaN if nothing is known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _median(values: Reals) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else 0.0


def _stack(labels: Labels, columns: Sequence[str]) -> NDArray[np.float32]:
    """Columns (N,) as float32 (N, K)."""
    return _floats(np.stack([np.asarray(labels[column]) for column in columns], axis=1))


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float32)
