"""Made-up answers to Heist's probe targets, and encodings that hold them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.evaluation.probing import ProbeData
from heist_encoders.tasks.base import SIDES
from heist_encoders.tasks.heist.elements import COLORS, ELEMENTS
from heist_encoders.tasks.registry import task_of

TARGETS = task_of("heist").probe_targets()
Floats = NDArray[np.float32]


def make_questions(count: int, rng: np.random.Generator) -> ProbeData:
    """Random labels of Heist, as every target of its task loads them; no maps."""
    visible = (rng.random((count, len(ELEMENTS))) < 0.3).astype(np.float32)
    centres = rng.uniform(2, 62, (count, len(ELEMENTS), 2))
    progress = rng.integers(0, 7, count)
    labels: dict[str, NDArray[np.generic]] = {"progress": progress, "oracle_moves": 1 << rng.integers(0, 9, count)}
    for i, element in enumerate(ELEMENTS):
        labels[f"visible_{element}"] = visible[:, i]
        for side, (axis, shift) in zip(SIDES, ((0, -2), (1, -2), (0, 2), (1, 2)), strict=True):
            labels[f"{element}_{side}"] = centres[:, i, axis] + shift
    for i, color in enumerate(COLORS):
        labels[f"held_{color}"] = progress >= 2 * i + 1
    return ProbeData({target.name: target.load(labels) for target in TARGETS}, None)


def planted(questions: ProbeData, rng: np.random.Generator) -> Floats:
    """Encodings float32 (N, D) that hold every answer, mixed by a fixed rotation."""
    answers = np.concatenate(
        [answers.values * (2 if name == "position" else 1) for name, answers in questions.answers.items()], axis=1
    )
    mixing, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((answers.shape[1],) * 2))
    return (answers @ mixing + 0.01 * rng.standard_normal(answers.shape)).astype(np.float32)


def noise(count: int, width: int, rng: np.random.Generator) -> Floats:
    """Encodings float32 (N, width) that hold nothing."""
    return rng.standard_normal((count, width)).astype(np.float32)
