"""Usefulness: how well small probes read the game from frozen encodings."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch

from heist_encoders.constants import FRAME_SIZE
from heist_encoders.evaluation.encoding import Encodable, encode_frames
from heist_encoders.evaluation.probes import (
    HIDDEN,
    LINEAR,
    ProbeSettings,
    Standardiser,
    absolute_loss,
    as_rows,
    binary_loss,
    distribution_loss,
    f1_scores,
    mean_known,
    train_probe,
)
from heist_encoders.evaluation.targets import Floats, Indices, LabelledFrames, Targets, load_targets
from heist_encoders.json_text import plain
from heist_encoders.ray_session import cpu_count
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.training.hardware import torch_threads

FAST_TRAIN, FAST_TEST = 5_000, 2_000
"""Frames that ``fast=True`` uses."""
KINDS = {"linear": None, "mlp": HIDDEN}
"""Kind of probe -> hidden units."""


@dataclass
class Usefulness:
    """What probes read from an encoding, on the test split.

    ``to_dict`` gives plain JSON values (None for what doesn't exist, such as the F1 of an element that no test frame
    shows). All scores are between 0 and 1; errors are in pixels of the 64x64 frame.

    Attributes:
        linear_f1, mlp_f1: mean F1 over the 7 elements.
        elements: for each element ``linear_f1``, ``mlp_f1``, ``mlp_precision``, ``mlp_recall``, ``positives`` (test
            frames that show it) and, unless fast, ``position_error_px`` and ``position_median_px``.
        position_error_px, position_median_px: mean and median absolute error of the MLP probe, over both coordinates
            of the centres of the visible elements' boxes. ``linear_position_error_px``: of the linear probe.
        held_accuracy, held_f1: keys held, mean over the three. progress_accuracy: events so far in the level.
        oracle_move_accuracy: share of frames where the probe's move is one that the oracle would make.
            Each also with ``linear_`` in front.
        train_samples, test_samples, encoding_size, seed, seeds, seconds: how it was measured.
        std: standard deviation over the seeds of every mean above; empty for one seed.
        probabilities: float32 (test_samples, 7), the MLP probe's belief that the element is visible (first seed).
        test_rows: int64 (test_samples,), which test frames. Neither of these two is in ``to_dict``.
    """

    linear_f1: float
    mlp_f1: float
    elements: dict[str, dict[str, float]]
    train_samples: int
    test_samples: int
    encoding_size: int
    seed: int
    seeds: int = 1
    fast: bool = False
    seconds: float = 0.0
    position_error_px: float | None = None
    position_median_px: float | None = None
    held_accuracy: float | None = None
    held_f1: float | None = None
    progress_accuracy: float | None = None
    oracle_move_accuracy: float | None = None
    linear_position_error_px: float | None = None
    linear_held_accuracy: float | None = None
    linear_held_f1: float | None = None
    linear_progress_accuracy: float | None = None
    linear_oracle_move_accuracy: float | None = None
    std: dict[str, float] = field(default_factory=dict)
    probabilities: Floats = field(default_factory=lambda: np.zeros((0, 7), np.float32), repr=False)
    test_rows: Indices = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON-serialisable values, NaN as None."""
        figures = asdict(self)
        del figures["probabilities"], figures["test_rows"]
        return plain(figures, 6)  # type: ignore[no-any-return]


def sample_rows(count: int, limit: int, seed: int = 0) -> Indices:
    """``limit`` of ``count`` row numbers (all if there are fewer), ascending, the same for the same seed."""
    if count <= limit:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False)).astype(np.int64)


def usefulness(
    encoder: Encodable,
    dataset: LabelledFrames,
    *,
    seed: int = 0,
    seeds: int = 1,
    train_limit: int = 20_000,
    test_limit: int = 20_000,
    fast: bool = False,
    batch_size: int = 64,
    device: str = "auto",
) -> Usefulness:
    """Train the probes on frozen encodings of the train split and judge them on the test split.

    Args:
        encoder: an autoencoder, an ``Encoder``, or a function from uint8 (N, 64, 64, 3) to float (N, ...).
        dataset: with Heist labels.
        seed: of the probes (initial weights, batches, validation slice). The same seed gives the same figures.
        seeds: with more than one, probes are trained for seed, seed + 1, ... and means and deviations are given.
        train_limit, test_limit: at most so many frames of each split, drawn without replacement.
        fast: only the element probes, on fewer frames (about 2 s on one core); for use inside sweeps.
        batch_size: frames encoded at a time.
        device: for the probes: ``"auto"`` (GPU if there is one), ``"cpu"`` or ``"cuda"``.

    Raises:
        DatasetError: if the dataset has no Heist labels.
    """
    if fast:
        train_limit, test_limit = min(train_limit, FAST_TRAIN), min(test_limit, FAST_TEST)
    data: list[tuple[Floats, Targets]] = []
    test_rows = np.zeros(0, np.int64)
    for split, limit in (("train", train_limit), ("test", test_limit)):
        frames = dataset.frames(split)
        rows = sample_rows(len(frames), limit)
        targets = load_targets(dataset, split, rows)
        data.append((encode_frames(encoder, frames, rows, batch_size=batch_size), targets))
        test_rows = rows
    (x_train, train), (x_test, test) = data
    return probe_encodings(
        x_train, train, x_test, test, seed=seed, seeds=seeds, fast=fast, device=device, test_rows=test_rows
    )


def probe_encodings(
    x_train: Floats,
    train: Targets,
    x_test: Floats,
    test: Targets,
    *,
    seed: int = 0,
    seeds: int = 1,
    fast: bool = False,
    device: str = "auto",
    test_rows: Indices | None = None,
) -> Usefulness:
    """``usefulness`` of encodings that are already there: float (N, ...) and (M, ...) with their targets."""
    started = time.perf_counter()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, rows_test = as_rows(x_train), as_rows(x_test)
    standardise = Standardiser.fit(torch.from_numpy(rows).to(device))
    z_train = standardise(torch.from_numpy(rows).to(device))
    z_test = standardise(torch.from_numpy(rows_test).to(device))

    def run(number: int) -> _Scores:
        return _probe_once(z_train, train, z_test, test, number, fast)

    numbers = range(seed, seed + max(1, seeds))
    # One thread of torch a seed, several seeds at once: faster than several threads a seed, for the products are small,
    # and the figures do not depend on the number of cores.
    at_once = min(len(numbers), cpu_count()) if device == "cpu" else 1
    with torch_threads(1 if device == "cpu" else None), ThreadPoolExecutor(at_once, "probes") as pool:
        runs = list(pool.map(run, numbers)) if at_once > 1 else [run(number) for number in numbers]
    scores = {name: [run[0][name] for run in runs] for name in runs[0][0]}
    elements = {
        element: {name: float(np.mean([run[1][element][name] for run in runs])) for name in runs[0][1][element]}
        for element in ELEMENTS
    }
    return Usefulness(
        **{name: float(np.mean(values)) for name, values in scores.items()},
        elements=elements,
        train_samples=len(rows),
        test_samples=len(rows_test),
        encoding_size=rows.shape[1],
        seed=seed,
        seeds=max(1, seeds),
        fast=fast,
        seconds=time.perf_counter() - started,
        std={name: float(np.std(values)) for name, values in scores.items()} if seeds > 1 else {},
        probabilities=runs[0][2],
        test_rows=np.arange(len(rows_test), dtype=np.int64) if test_rows is None else test_rows,
    )


_Scores: TypeAlias = "tuple[dict[str, float], dict[str, dict[str, float]], Floats]"


def _probe_once(x: torch.Tensor, train: Targets, x_test: torch.Tensor, test: Targets, seed: int, fast: bool) -> _Scores:
    """All probes for one seed: the scores, the scores of each element, the MLP's probabilities (M, 7)."""
    scores: dict[str, float] = {}
    elements: dict[str, dict[str, float]] = {element: {} for element in ELEMENTS}
    probabilities = np.zeros((0, len(ELEMENTS)), np.float32)

    for kind, hidden in KINDS.items():
        settings = LINEAR if hidden is None else ProbeSettings()
        if fast:
            settings = replace(settings, batch_size=128)

        def ask(
            targets: Floats,
            weights: Floats,
            loss: Callable[..., torch.Tensor],
            hidden: int | None = hidden,
            settings: ProbeSettings = settings,
        ) -> Floats:
            """Outputs float32 (M, K) of a probe trained on the rows that have any known target."""
            rows = torch.from_numpy(np.flatnonzero(weights.any(axis=1))).to(x.device)
            if len(rows) < 2:
                return np.zeros((len(x_test), targets.shape[1]), np.float32)
            predict = train_probe(
                x if len(rows) == len(x) else x[rows],
                torch.from_numpy(targets).to(x.device)[rows],
                torch.from_numpy(weights).to(x.device)[rows],
                loss,
                hidden=hidden,
                seed=seed,
                settings=settings,
            )
            return predict(x_test).cpu().numpy()

        logits = ask(train.elements, train.elements_known.astype(np.float32), binary_loss)
        counts = f1_scores(logits > 0, test.elements.astype(bool), test.elements_known)
        scores[f"{kind}_f1"] = mean_known(counts.f1)
        for i, element in enumerate(ELEMENTS):
            elements[element][f"{kind}_f1"] = float(counts.f1[i])
            elements[element][f"{kind}_precision"] = float(counts.precision[i])
            elements[element][f"{kind}_recall"] = float(counts.recall[i])
            elements[element]["positives"] = float(counts.positives[i])
        if kind == "mlp":
            probabilities = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
        if fast:
            continue

        prefix = "linear_" if kind == "linear" else ""
        errors = _position_errors(ask, train, test)
        scores[f"{prefix}position_error_px"] = mean_known(errors)
        if kind == "mlp":
            flat = errors[~np.isnan(errors)]
            scores["position_median_px"] = float(np.median(flat)) if flat.size else float("nan")
            for i, element in enumerate(ELEMENTS):
                own = errors[:, i][~np.isnan(errors[:, i])]
                elements[element]["position_error_px"] = float(own.mean()) if own.size else float("nan")
                elements[element]["position_median_px"] = float(np.median(own)) if own.size else float("nan")

        logits = ask(train.held, np.ones_like(train.held), binary_loss)
        held = f1_scores(logits > 0, test.held.astype(bool), np.ones_like(test.held, dtype=bool))
        scores[f"{prefix}held_accuracy"] = float(((logits > 0) == test.held.astype(bool)).mean())
        scores[f"{prefix}held_f1"] = mean_known(held.f1)

        steps = int(train.progress.max()) + 1
        one_hot = np.eye(steps, dtype=np.float32)[train.progress]
        logits = ask(one_hot, np.ones_like(one_hot), distribution_loss)
        scores[f"{prefix}progress_accuracy"] = float((logits.argmax(1) == test.progress).mean())

        known = (train.moves.sum(1, keepdims=True) > 0).astype(np.float32)
        logits = ask(train.moves, np.broadcast_to(known, train.moves.shape).copy(), distribution_loss)
        scores[f"{prefix}oracle_move_accuracy"] = move_accuracy(logits.argmax(1), test.moves)
    return scores, elements, probabilities


def _position_errors(ask: Callable[..., Floats], train: Targets, test: Targets) -> Floats:
    """Absolute errors in pixels, float32 (M, 7, 2), NaN where the element isn't visible.

    The targets are scaled to about +-1 by the frame's half width.
    """
    half = FRAME_SIZE / 2
    wanted = ((train.positions - half) / half).reshape(len(train.positions), -1)
    known = np.repeat(train.positions_known, 2, axis=1).astype(np.float32)
    guessed = ask(wanted, known, absolute_loss).reshape(-1, len(ELEMENTS), 2) * half + half
    errors = np.abs(guessed.clip(0, FRAME_SIZE) - test.positions)
    return np.where(test.positions_known[..., None], errors, np.nan).astype(np.float32)


def move_accuracy(chosen: np.ndarray[Any, np.dtype[np.int64]], moves: Floats) -> float:
    """Share of rows whose chosen move (N,) the oracle would make too; rows without a known move are left out.

    Args:
        chosen: int64 (N,). moves: float32 (N, 9), positive where the oracle would make the move.
    """
    known = moves.sum(1) > 0
    if not known.any():
        return float("nan")
    return float((moves[np.arange(len(moves)), chosen] > 0)[known].mean())
