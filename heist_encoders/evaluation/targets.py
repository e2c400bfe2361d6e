"""What the probes are asked: labels of a dataset as arrays, with masks for what is unknown or ambiguous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from heist_encoders.constants import NUM_MOVES, VISIBLE
from heist_encoders.errors import DatasetError
from heist_encoders.tasks.heist.elements import COLORS, ELEMENTS

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class LabelledFrames(Protocol):
    """The part of a ``Dataset`` that the evaluation reads. ``split`` is ``"train"`` or ``"test"``."""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the content."""

    def frames(self, split: str) -> Frames:
        """uint8 (N, 64, 64, 3), RGB."""

    def labels(self, split: str) -> pd.DataFrame:
        """N rows, in the order of the frames."""

    def boxes(self, split: str) -> npt.NDArray[np.int16]:
        """int16 (N, 7, 4): x0, y0, x1, y1 in pixels, half open, all 0 where the element is absent."""

    def visible(self, split: str) -> Floats:
        """float32 (N, 7): the fraction of each element's painted box that is on screen, 0 to 1."""


@dataclass(frozen=True)
class Targets:
    """Answers that the probes are trained on and judged by, for N frames.

    Attributes:
        elements: float32 (N, 7), 1 where the element is visible (fraction >= 0.5), else 0.
        elements_known: bool (N, 7), False where the element is partly visible (neither visible nor absent).
        positions: float32 (N, 7, 2), x and y of the centre of each element's box, pixels.
        positions_known: bool (N, 7), True where the element is visible.
        held: float32 (N, 3), 1 where the blue, green, red key is held.
        progress: int64 (N,), how many of the level's events have happened.
        moves: float32 (N, 9), uniform over the moves that the oracle would make; all 0 where unknown.
    """

    elements: Floats
    elements_known: Bools
    positions: Floats
    positions_known: Bools
    held: Floats
    progress: Indices
    moves: Floats


def visibility_labels(visible: Floats) -> tuple[Floats, Bools]:
    """Visible fractions (N, 7) -> labels float32 (N, 7) and mask bool (N, 7), False where partly visible."""
    return (visible >= VISIBLE).astype(np.float32), (visible >= VISIBLE) | (visible == 0)


def box_centres(boxes: npt.NDArray[np.int16]) -> Floats:
    """Boxes (..., 4) as x0 y0 x1 y1, half open -> float32 (..., 2), the centres (x, y) in pixels."""
    x0, y0, x1, y1 = np.moveaxis(boxes.astype(np.float32), -1, 0)
    centres: Floats = np.stack([(x0 + x1) / 2, (y0 + y1) / 2], axis=-1).astype(np.float32)
    return centres


def move_distribution(bits: npt.NDArray[np.integer[Any]]) -> Floats:
    """Bit sets of moves (N,) -> float32 (N, 9): uniform over the moves in the set, all 0 for an empty set."""
    members = ((bits[:, None].astype(np.int64) >> np.arange(NUM_MOVES)) & 1).astype(np.float32)
    return np.asarray(members / np.maximum(members.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def has_targets(dataset: LabelledFrames) -> bool:
    """Whether the dataset carries the labels that the probes need (datasets of other games don't)."""
    return f"visible_{ELEMENTS[0]}" in dataset.labels("test").columns


def load_targets(dataset: LabelledFrames, split: str, rows: Indices | None = None) -> Targets:
    """The targets of a split, or of some rows of it.

    Raises:
        DatasetError: if the dataset has no Heist labels.
    """
    if not has_targets(dataset):
        game = getattr(getattr(dataset, "spec", None), "game", "unknown")
        raise DatasetError(
            f"the dataset (game {game!r}) has no labels of Heist's elements, which the probes ask for; "
            "generate one with game: heist"
        )
    labels = dataset.labels(split)
    chosen: slice | Indices = slice(None) if rows is None else rows
    elements, known = visibility_labels(np.asarray(dataset.visible(split))[chosen])
    return Targets(
        elements=elements,
        elements_known=known,
        positions=box_centres(np.asarray(dataset.boxes(split))[chosen]),
        positions_known=elements.astype(bool),
        held=labels[[f"held_{color}" for color in COLORS]].to_numpy(np.float32)[chosen],
        progress=labels["progress"].to_numpy(np.int64)[chosen],
        moves=move_distribution(labels["oracle_moves"].to_numpy(np.int64)[chosen]),
    )
