"""The frames that every artifact is shown on: the same for the same dataset, some for each element."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.data.source import FrameSource
from heist_encoders.errors import ArtifactError
from heist_encoders.evaluation.files import read_npz, temporary_sibling
from heist_encoders.evaluation.frames import Frames, Indices
from heist_encoders.tasks.registry import task_of

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
        frames: uint8 (N, 64, 64, 3). reconstructions: the same shape.
        maps: uint8 (N, S, S), the coarse semantic maps; S is 0 where the game has none.
        read_maps: uint8 (N, S, S), the maps that the probe read from the encodings.
    """

    rows: Indices
    element: npt.NDArray[np.int8]
    frames: Frames
    reconstructions: Frames
    maps: npt.NDArray[np.uint8]
    read_maps: npt.NDArray[np.uint8]

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
                frames=self.frames,
                reconstructions=self.reconstructions,
                maps=self.maps,
                read_maps=self.read_maps,
            )

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Read what ``save`` wrote. Raises ArtifactError if it is damaged."""
        arrays = read_npz(path)
        names = [field.name for field in dataclasses.fields(cls)]
        if set(arrays) != set(names) or not cls(**arrays)._fits():
            held = {name: arrays[name].shape for name in sorted(arrays)}
            raise ArtifactError(f"{path} holds {held!s:.300}, expected {names}; run heist-encoders evaluate again")
        return cls(**arrays)

    def _fits(self) -> bool:
        """Whether the arrays are as the class says."""
        count, side = self.rows.size, self.maps.shape[-1:]
        return (
            self.rows.shape == self.element.shape == (count,)
            and self.frames.shape == self.reconstructions.shape == (count, *FRAME_SHAPE)
            and self.maps.shape == self.read_maps.shape == (count, *side, *side)
            and self.frames.dtype == self.reconstructions.dtype == self.maps.dtype == self.read_maps.dtype == np.uint8
            and self.rows.dtype.kind == self.element.dtype.kind == "i"
        )


def choose_examples(dataset: FrameSource, rows: Indices | None = None) -> tuple[Indices, npt.NDArray[np.int8]]:
    """Choose frames of the test split, the same for the same dataset and rows.

    For each element of the task 4 frames where it is wholly visible (or as much as any frame shows), of different
    levels and, as far as there are any, of levels not shown for another element; then 8 with no element in view. In a
    game without elements: 8 frames spread evenly.

    Args:
        rows: test frames to choose from, all if None.

    Returns:
        Test rows int64 (N,), and the element that each is to show int8 (N,) (-1: none).
    """
    candidates = np.arange(len(dataset.frames("test")), dtype=np.int64) if rows is None else rows
    elements = task_of(dataset.spec.game).elements
    if not elements:
        spread = candidates[np.linspace(0, len(candidates) - 1, min(WITHOUT, len(candidates))).astype(int)]
        return spread, np.full(len(spread), -1, np.int8)
    labels = dataset.labels("test").iloc[candidates]
    visible = labels[[f"visible_{element}" for element in elements]].to_numpy(np.float32)
    levels = labels["level_seed"].to_numpy()
    order = np.random.default_rng(0).permutation(len(candidates))
    chosen: list[tuple[int, int]] = []
    seen: set[int] = set()  # levels shown already: the same scene for every element would be dull
    for index in range(len(elements)):
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
    return candidates[picked], np.array([e for _, e in chosen], np.int8)
