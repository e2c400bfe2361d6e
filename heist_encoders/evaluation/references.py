"""Reference rows: what a probe reads without a trained encoder. A usefulness means something only beside these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from heist_encoders.evaluation.probes import f1_scores, mean_known
from heist_encoders.evaluation.targets import Floats, Frames, LabelledFrames, load_targets
from heist_encoders.evaluation.usefulness import Usefulness, move_accuracy, sample_rows, usefulness
from heist_encoders.tasks.heist.elements import ELEMENTS

PIXEL_TRAIN = 5_000
"""Frames that the probes on raw pixels are trained on: 12,288 numbers a frame are dear."""


def majority(dataset: LabelledFrames, *, limit: int = 20_000) -> dict[str, Any]:
    """Answer every question with what is most frequent in the train split, whatever the frame.

    Returns:
        The figures of ``Usefulness.to_dict`` that make sense without a probe.
    """
    train = load_targets(dataset, "train", sample_rows(len(dataset.frames("train")), limit))
    test = load_targets(dataset, "test", sample_rows(len(dataset.frames("test")), limit))
    known = np.maximum(train.elements_known.sum(0), 1)
    guess = (train.elements * train.elements_known).sum(0) / known > 0.5
    counts = f1_scores(np.broadcast_to(guess, test.elements.shape), test.elements.astype(bool), test.elements_known)
    held = train.held.mean(0) > 0.5
    held_counts = f1_scores(np.broadcast_to(held, test.held.shape), test.held > 0, np.ones(test.held.shape, bool))
    centres = np.where(train.positions_known[..., None], train.positions, np.nan)
    middle = np.array([[_median(centres[:, i, axis]) for axis in range(2)] for i in range(len(ELEMENTS))])
    errors = np.abs(np.where(test.positions_known[..., None], test.positions, np.nan) - middle)
    moves = np.full(len(test.moves), int(train.moves.sum(0).argmax()))
    f1 = mean_known(counts.f1)
    figures = {
        "linear_f1": f1,
        "mlp_f1": f1,
        "position_error_px": mean_known(errors),
        "held_accuracy": float((held == (test.held > 0)).mean()),
        "held_f1": mean_known(held_counts.f1),
        "progress_accuracy": float((np.bincount(train.progress).argmax() == test.progress).mean()),
        "oracle_move_accuracy": move_accuracy(moves, test.moves),
    }
    return {
        **{name: None if np.isnan(value) else round(value, 6) for name, value in figures.items()},
        "elements": {
            element: {"mlp_f1": None if np.isnan(counts.f1[i]) else float(counts.f1[i])}
            for i, element in enumerate(ELEMENTS)
        },
    }


def _median(values: Floats) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if values.size else float("nan")


def raw_pixels(dataset: LabelledFrames, *, seed: int = 0, train_limit: int = PIXEL_TRAIN, **options: Any) -> Usefulness:
    """Probes on the frame itself: 12,288 standardised pixels, by default of 5,000 train frames only.

    ``options`` are ``usefulness``'s.
    """

    def flat(frames: Frames) -> Floats:
        return frames.reshape(len(frames), -1).astype(np.float32)

    return usefulness(flat, dataset, seed=seed, train_limit=train_limit, **options)


def random_encoder(
    family: str, dataset: LabelledFrames, *, params: Mapping[str, Any] | None = None, seed: int = 0, **options: Any
) -> Usefulness:
    """Probes on the encodings of an untrained autoencoder of the family, initialised from ``seed``.

    ``options`` are ``usefulness``'s. torch's global random state is left as it was.
    """
    from heist_encoders.autoencoders.registry import create_autoencoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = create_autoencoder(family, dict(params or {}))
    return usefulness(model, dataset, seed=seed, **options)


def reference_rows(
    dataset: LabelledFrames, families: Iterable[str] = (), *, seed: int = 0, **options: Any
) -> list[dict[str, Any]]:
    """All reference rows of a dataset, for ``write_report``'s ``references``.

    Args:
        families: a row for a random-initialised encoder of each, with its default parameters.
        seed: of probes and encoders.
        options: of ``usefulness``.

    Returns:
        Dictionaries with ``name``, ``train_samples`` and the figures of ``Usefulness.to_dict``.
    """
    rows: list[dict[str, Any]] = [{"name": "always the majority", **majority(dataset)}]
    for family in families:
        row = random_encoder(family, dataset, seed=seed, **options)
        rows.append({"name": f"{family}, untrained", "family": family, **row.to_dict()})
    pixels = raw_pixels(dataset, seed=seed, **{"train_limit": PIXEL_TRAIN, **options})
    rows.append({"name": "raw pixels", **pixels.to_dict()})
    return rows
