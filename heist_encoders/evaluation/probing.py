"""Probing: what small networks read from frozen encodings, on levels that nobody was trained on."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from heist_encoders.arrays import Reals
from heist_encoders.data.source import FrameSource
from heist_encoders.errors import DatasetError
from heist_encoders.evaluation.encoding import Encodable, encode_split
from heist_encoders.evaluation.frames import Floats, Indices
from heist_encoders.evaluation.probes import HIDDEN, LINEAR, LOSSES, ProbeSettings, Standardiser, as_rows, train_probe
from heist_encoders.evaluation.semantic_probe import MapProbeSettings, MapReading, Maps, Normaliser, read_maps
from heist_encoders.json_text import JsonObject, plain
from heist_encoders.policies.planner import fit_planner, plan_accuracy, plan_logits
from heist_encoders.ray_session import cpu_count
from heist_encoders.semantic import coarsen
from heist_encoders.tasks.registry import task_of
from heist_encoders.tasks.targets import Answers, ProbeTarget, Rows, Scores
from heist_encoders.training.hardware import torch_threads

TRAIN_LIMIT = 20_000
"""Frames of the train split that probes are trained on, unless another number is asked for."""
FAST_TRAIN, FAST_TEST = 4_000, 1_000
"""Frames that ``fast=True`` uses."""
FAST_MAPS = MapProbeSettings(samples=4_000, max_passes=4)
KINDS = {"linear": None, "mlp": HIDDEN}
"""Kind of probe -> hidden units."""


class ProbeData(NamedTuple):
    """What probes are trained to read from some frames, in their order."""

    answers: dict[str, Answers]
    """By target."""
    maps: Maps | None
    """uint8 (N, 16, 16), coarse semantic maps (``semantic.coarsen``); None where the game has none."""


@dataclass
class ProbeResult:
    """What probes read from an encoding, on the test split. All but errors in pixels are between 0 and 1.

    Attributes:
        miou: mean IoU of the coarse semantic map, the main figure; None where the game has no such map.
        iou: of each class.
        plan_accuracy: share of frames in which a planning head names a move of the oracle's, after ``plan_samples``
            labelled frames; None if it was not measured.
        figures: of every target of the task (``ProbeTarget.figures``), by the MLP probe; by the linear one with
            ``linear_`` in front; of what the probe's semantic map says, with ``map_`` in front (``map_presence_f1``).
        by_thing: element -> figure -> value.
        std: standard deviation over the seeds of each figure; empty for one seed.
        train_samples: frames of the train split that the probes learned from.
        test_samples: frames of the test split that the figures are of.
        latent_dimension: of the encoder.
        seed: the first seed of the probes.
        seeds: how many there were.
        fast: whether it is an estimate from fewer frames and steps.
        seconds: how long it took.
        maps: uint8 (M, 16, 16), the map that the probe of the first seed read of each test frame, or None.
        test_rows: int64 (M,), which test frames. Neither of these two is in ``to_dict``.
    """

    miou: float | None
    iou: dict[str, float]
    plan_accuracy: float | None
    plan_samples: int
    figures: dict[str, float]
    by_thing: Rows
    std: dict[str, float]
    train_samples: int
    test_samples: int
    latent_dimension: int
    seed: int
    seeds: int
    fast: bool
    seconds: float
    maps: Maps | None = field(default=None, repr=False)
    test_rows: Indices = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    @property
    def scene_score(self) -> float | None:
        """mIoU times plan accuracy: high only for an encoding from which the scene and the way through it can be read.

        None unless both were measured.
        """
        return None if self.miou is None or self.plan_accuracy is None else self.miou * self.plan_accuracy

    def to_dict(self) -> JsonObject:
        """JSON values, ``figures`` beside the rest; None for what does not exist (NaN)."""
        values = {key: value for key, value in vars(self).items() if key not in ("maps", "test_rows", "figures")}
        all_values: dict[str, object] = {**values, "scene_score": self.scene_score, **self.figures}
        return plain(all_values, 6)


def sample_rows(count: int, limit: int, seed: int = 0) -> Indices:
    """``limit`` of ``count`` row numbers (all if there are fewer), ascending, the same for the same seed."""
    if count <= limit:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False)).astype(np.int64)


def targets_of(dataset: FrameSource) -> tuple[ProbeTarget, ...]:
    """The targets of a dataset's task; empty for games without labels to probe for."""
    return task_of(dataset.spec.game).probe_targets()


def has_maps(dataset: FrameSource) -> bool:
    """Whether the dataset's game has semantic maps."""
    return bool(task_of(dataset.spec.game).classes)


def can_probe(dataset: FrameSource) -> bool:
    """Whether there is anything to probe for."""
    return bool(targets_of(dataset)) or has_maps(dataset)


def probe_data(dataset: FrameSource, split: str, rows: Indices) -> ProbeData:
    """Answers and coarse maps of some rows of a split."""
    labels = dataset.labels(split).iloc[rows]
    answers = {target.name: target.load(labels) for target in targets_of(dataset)}
    maps = None
    if has_maps(dataset):
        source = dataset.semantic_maps(split)
        count = len(source.classes)
        maps = np.concatenate(
            [coarsen(source.pick(rows[i : i + 1024]), count) for i in range(0, max(1, len(rows)), 1024)]
        )
    return ProbeData(answers, maps)


def probe(
    encoder: Encodable,
    dataset: FrameSource,
    *,
    seed: int = 0,
    seeds: int = 1,
    train_limit: int = TRAIN_LIMIT,
    test_limit: int = 5_000,
    plan_samples: int = 0,
    map_samples: int | None = None,
    fast: bool = False,
    wanted: Collection[str] | None = None,
    batch_size: int = 64,
    device: str = "auto",
) -> ProbeResult:
    """Train probes on frozen encodings of the train split and evaluate them on the test split.

    Args:
        encoder: an autoencoder, an ``Encoder``, a function from uint8 (N, 64, 64, 3) to (N, ...), or a ``TrueState``.
        dataset: with labels to probe for.
        seed: of the probes. The same seed gives the same figures.
        seeds: with more than one, probes are trained for seed, seed + 1, ... and the figures are means.
        train_limit: at most so many frames of the train split, drawn without replacement.
        test_limit: the same for the test split.
        plan_samples: labelled frames that a planning head is shown, for ``plan_accuracy``; 0 leaves it out. It takes as
            many of the train split, each once; where there are fewer, they are shown again and again.
        map_samples: frames that the probe for semantic maps is shown; None: 60,000, or 4,000 if ``fast``.
        fast: fewer frames and steps (a few seconds), for estimates inside sweeps.
        wanted: names of figures (``miou``, ``presence_f1``, ...); only their probes are trained. None: all.
        batch_size: frames encoded at a time.
        device: of the probes: ``auto`` (GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        DatasetError: if the dataset's game has nothing to probe for, or a split is empty.

    Examples:
        >>> from heist_encoders.autoencoders import create_autoencoder
        >>> from heist_encoders.evaluation import probe
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> result = probe(create_autoencoder("conv_maxpool"), data, fast=True, wanted=["presence_f1"])
        >>> result.latent_dimension, 0 <= result.figures["presence_f1"] <= 1
        (32, True)
    """
    started = time.perf_counter()
    if not can_probe(dataset):
        raise DatasetError(f"{dataset.spec.game} has no labels to probe for; use a dataset of a game that has")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if fast:
        train_limit, test_limit = min(train_limit, FAST_TRAIN), min(test_limit, FAST_TEST)
    encodings, data, rows = [], [], np.zeros(0, np.int64)
    for split, limit in (("train", train_limit), ("test", test_limit)):
        frames = dataset.frames(split)
        if not len(frames):
            raise DatasetError(f"the dataset has no {split} frames to probe on; generate more or raise test_fraction")
        rows = sample_rows(len(frames), limit)
        encodings.append(encode_split(encoder, dataset, split, rows, batch_size=batch_size))
        data.append(probe_data(dataset, split, rows))
    by_maps = wanted is None or any(name.startswith("map_") for name in wanted)
    if wanted is not None and not by_maps and "miou" not in wanted:
        data = [part._replace(maps=None) for part in data]
    result = probe_encodings(
        encodings[0],
        data[0],
        encodings[1],
        data[1],
        targets=[t for t in targets_of(dataset) if wanted is None or _gives(t, wanted)],
        read_off=targets_of(dataset) if by_maps else (),
        classes=task_of(dataset.spec.game).classes,
        seed=seed,
        seeds=seeds,
        map_samples=map_samples,
        fast=fast,
        device=device,
    )
    if plan_samples and "next_move" in data[1].answers:
        seen = sample_rows(len(dataset.frames("train")), plan_samples)
        x = encode_split(encoder, dataset, "train", seen, batch_size=batch_size).astype(np.float16)
        moves = _moves(dataset, "train", seen)
        plan = _plan(x, moves, encodings[1], _moves(dataset, "test", rows), plan_samples, seed, device)
        result = replace(result, plan_accuracy=plan, plan_samples=plan_samples)
    return replace(result, test_rows=rows, seconds=time.perf_counter() - started)


def _gives(target: ProbeTarget, wanted: Collection[str]) -> bool:
    return any(name in wanted or f"linear_{name}" in wanted for name in target.figures)


def probe_encodings(
    x_train: Floats,
    train: ProbeData,
    x_test: Floats,
    test: ProbeData,
    *,
    targets: Iterable[ProbeTarget],
    read_off: Iterable[ProbeTarget] = (),
    classes: tuple[str, ...] = (),
    seed: int = 0,
    seeds: int = 1,
    map_samples: int | None = None,
    fast: bool = False,
    device: str = "cpu",
) -> ProbeResult:
    """``probe`` for encodings that are already there: float (N, ...) and (M, ...) with their labels and maps.

    ``targets`` get a linear and an MLP probe each, ``read_off`` the figures that follow from the semantic map.
    """
    started, targets, read_off = time.perf_counter(), tuple(targets), tuple(read_off)
    rows, rows_test = as_rows(x_train), as_rows(x_test)
    z_train = z_test = torch.zeros(0)
    if targets:
        standardise = Standardiser.fit(torch.from_numpy(rows).to(device))
        z_train, z_test = (standardise(torch.from_numpy(x).to(device)) for x in (rows, rows_test))

    def run(number: int) -> tuple[dict[str, float], Rows, MapReading | None]:
        reading = None
        if train.maps is not None and test.maps is not None:
            settings = FAST_MAPS if fast else MapProbeSettings()
            settings = settings if map_samples is None else replace(settings, samples=map_samples)
            reading = read_maps(
                x_train, train.maps, x_test, test.maps, classes, presence=bool(read_off), seed=number,
                settings=settings, device=device,
            )  # fmt: skip
        figures, by_thing = _probe_targets(targets, z_train, train.answers, z_test, test.answers, number, fast)
        if reading is not None and reading.shown is not None:
            add_read_off(read_off, reading.shown, classes, test.answers, figures, by_thing)
        return figures, by_thing, reading

    numbers = range(seed, seed + max(1, seeds))
    # One thread of torch a seed, several seeds at once: faster than several threads a seed, for the products are small,
    # and the figures do not depend on the number of cores.
    at_once = min(len(numbers), cpu_count()) if device == "cpu" else 1
    with torch_threads(1 if device == "cpu" else None), ThreadPoolExecutor(at_once, "probes") as pool:
        runs = list(pool.map(run, numbers)) if at_once > 1 else [run(number) for number in numbers]
    readings = [reading for _, _, reading in runs if reading is not None]
    figures = {name: [run[0][name] for run in runs] for name in runs[0][0]}
    spread = dict(figures)
    if readings:
        spread["miou"] = [reading.miou for reading in readings]
    return ProbeResult(
        miou=float(np.mean(spread["miou"])) if readings else None,
        iou={name: float(np.mean([r.iou[name] for r in readings])) for name in readings[0].iou} if readings else {},
        plan_accuracy=None,
        plan_samples=0,
        figures={name: float(np.mean(values)) for name, values in figures.items()},
        by_thing={
            thing: {name: float(np.mean([run[1][thing][name] for run in runs])) for name in runs[0][1][thing]}
            for thing in runs[0][1]
        },
        std={name: float(np.std(values)) for name, values in spread.items()} if seeds > 1 else {},
        train_samples=len(rows),
        test_samples=len(rows_test),
        latent_dimension=rows.shape[1],
        seed=seed,
        seeds=max(1, seeds),
        fast=fast,
        seconds=time.perf_counter() - started,
        maps=readings[0].predictions if readings else None,
        test_rows=np.arange(len(rows_test), dtype=np.int64),
    )


def _probe_targets(
    targets: tuple[ProbeTarget, ...],
    x: torch.Tensor,
    train: Mapping[str, Answers],
    x_test: torch.Tensor,
    test: Mapping[str, Answers],
    seed: int,
    fast: bool,
) -> tuple[dict[str, float], Rows]:
    """A linear and an MLP probe for each target: figures, and those of single things."""
    figures: dict[str, float] = {}
    by_thing: Rows = {}
    for kind, hidden in KINDS.items():
        prefix = "linear_" if kind == "linear" else ""
        settings = LINEAR if hidden is None else ProbeSettings()
        if fast:
            settings = replace(settings, batch_size=128)
        for target in targets:
            outputs = _outputs(target, x, train[target.name], x_test, hidden, seed, settings)
            _add(target.score(outputs, test[target.name]), prefix, figures, by_thing)
    return figures, by_thing


def _add(scores: Scores, prefix: str, figures: dict[str, float], by_thing: Rows) -> None:
    """Put scores into a probe's figures, under their names with a prefix."""
    figures |= {f"{prefix}{name}": value for name, value in scores.figures.items()}
    for thing, values in scores.by_thing.items():
        by_thing.setdefault(thing, {}).update({f"{prefix}{name}": value for name, value in values.items()})


def add_read_off(
    targets: Iterable[ProbeTarget],
    shown: Floats,
    classes: tuple[str, ...],
    answers: Mapping[str, Answers],
    figures: dict[str, float],
    by_thing: Rows,
) -> None:
    """Add what follows from which classes semantic maps show, float32 (M, C), with ``map_`` in front of the names."""
    for target in targets:
        if (outputs := target.read_off(shown, classes)) is not None:
            _add(target.score(outputs, answers[target.name]), "map_", figures, by_thing)


def _outputs(
    target: ProbeTarget,
    x: torch.Tensor,
    answers: Answers,
    x_test: torch.Tensor,
    hidden: int | None,
    seed: int,
    settings: ProbeSettings,
) -> Floats:
    """Outputs float32 (M, K) of a probe trained on the rows with any known answer; zeros if there is none."""
    rows = torch.from_numpy(np.flatnonzero(answers.known.any(axis=1))).to(x.device)
    if len(rows) < 2:
        return np.zeros((len(x_test), answers.values.shape[1]), np.float32)
    predict = train_probe(
        x if len(rows) == len(x) else x[rows],
        torch.from_numpy(answers.values).to(x.device)[rows],
        torch.from_numpy(answers.known).to(x.device)[rows],
        LOSSES[target.loss],
        hidden=hidden,
        seed=seed,
        settings=settings,
    )
    outputs: Floats = predict(x_test).cpu().numpy()
    return outputs


def _moves(dataset: FrameSource, split: str, rows: Indices) -> Floats:
    """The oracle's moves, float32 (M, 9)."""
    target = next(target for target in targets_of(dataset) if target.name == "next_move")
    return target.load(dataset.labels(split).iloc[rows]).values


def _plan(
    x: Reals,
    moves: Floats,
    x_test: Floats,
    moves_test: Floats,
    samples: int,
    seed: int,
    device: str,
) -> float:
    """Plan accuracy on encodings (M, *shape) of a planning head that has learned from encodings (N, *shape)."""
    normalise = Normaliser(x)
    x = np.concatenate([normalise(x[i : i + 1024]).numpy().astype(np.float16) for i in range(0, len(x), 1024)])
    with torch_threads(1 if device == "cpu" else None):
        head = fit_planner(x, moves, samples=samples, seed=seed, device=device)
        return plan_accuracy(plan_logits(head, normalise(x_test).numpy()), moves_test)
