"""The frames that every artifact is shown on: the same for the same dataset, some for each element."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heist_encoders.evaluation.files import temporary_sibling
from heist_encoders.evaluation.targets import Floats, Frames, Indices, LabelledFrames, has_targets
from heist_encoders.tasks.heist.elements import ELEMENTS

EACH = 4
"""Frames shown for each element."""
WITHOUT = 8
"""Frames shown besides: without any element, or, in other games, of anything."""


@dataclass(frozen=True)
class Examples:
    """Frames of the test split with what an autoencoder made of them.

    Attributes:
        rows: int64 (N,), which test frames.
        element: int8 (N,), the element that the frame is to show, -1 for none.
        boxes: int16 (N, 4), x0 y0 x1 y1 of that element; 0 for none.
        frames: uint8 (N, 64, 64, 3). reconstructions: the same shape.
        beliefs: float32 (N,), the MLP probe's probability that the element is visible; NaN if unknown.
    """

    rows: Indices
    element: npt.NDArray[np.int8]
    boxes: npt.NDArray[np.int16]
    frames: Frames
    reconstructions: Frames
    beliefs: Floats

    def of(self, index: int) -> Indices:
        """Positions in these arrays of the frames that show element ``index`` (-1: none)."""
        return np.flatnonzero(self.element == index).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write an .npz of plain arrays."""
        with temporary_sibling(path) as temporary:
            np.savez_compressed(
                temporary,
                rows=self.rows,
                element=self.element,
                boxes=self.boxes,
                frames=self.frames,
                reconstructions=self.reconstructions,
                beliefs=self.beliefs,
            )

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as data:
            return cls(**{name: data[name] for name in data.files})


def choose_examples(
    dataset: LabelledFrames, rows: Indices | None = None
) -> tuple[Indices, npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Choose frames of the test split, the same for the same dataset and rows.

    For each element 4 frames where it is wholly visible (or as much as any frame shows), of different levels and, as
    far as there are any, of levels not shown for another element; then 8 with no element in view. In a dataset
    without Heist labels: 8 frames spread evenly.

    Args:
        rows: test frames to choose from, all if None.

    Returns:
        Test rows int64 (N,), the element each is to show int8 (N,) (-1: none), and its box int16 (N, 4).
    """
    candidates = np.arange(len(dataset.frames("test")), dtype=np.int64) if rows is None else rows
    if not has_targets(dataset):
        spread = candidates[np.linspace(0, len(candidates) - 1, min(WITHOUT, len(candidates))).astype(int)]
        return spread, np.full(len(spread), -1, np.int8), np.zeros((len(spread), 4), np.int16)
    visible = np.asarray(dataset.visible("test"))[candidates]
    boxes = np.asarray(dataset.boxes("test"))[candidates]
    levels = dataset.labels("test")["level_seed"].to_numpy()[candidates]
    order = np.random.default_rng(0).permutation(len(candidates))
    chosen: list[tuple[int, int]] = []
    seen: set[int] = set()  # levels shown already: the same scene for every element would be dull
    for index in range(len(ELEMENTS)):
        column = visible[order, index]
        best = order[np.argsort(-np.round(column, 2), kind="stable")]
        best = best[visible[best, index] >= 0.5]
        _, first = np.unique(levels[best], return_index=True)
        distinct = sorted(best[np.sort(first)].tolist(), key=lambda i: int(levels[i]) in seen)[:EACH]
        seen.update(int(levels[i]) for i in distinct)
        chosen += [(i, index) for i in distinct]
    empty = order[(visible[order] == 0).all(axis=1)][:WITHOUT]
    chosen += [(int(i), -1) for i in empty]
    picked = np.array([i for i, _ in chosen], np.int64)
    element = np.array([e for _, e in chosen], np.int8)
    own = boxes[picked, element] if len(picked) else np.zeros((0, 4), np.int16)
    return candidates[picked], element, np.where(element[:, None] >= 0, own, 0).astype(np.int16)
