"""Reference rows: what a probe reads without a trained encoder. A figure means something only beside these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from typing_extensions import Unpack

from heist_encoders.data.source import FrameSource
from heist_encoders.errors import DatasetError
from heist_encoders.evaluation.encoding import TrueState
from heist_encoders.evaluation.figures import ProbeOptions
from heist_encoders.evaluation.frames import Frames
from heist_encoders.evaluation.probing import (
    TRAIN_LIMIT,
    ProbeResult,
    add_read_off,
    can_probe,
    probe,
    probe_data,
    sample_rows,
    targets_of,
)
from heist_encoders.evaluation.semantic_probe import intersection_over_union, shown_classes
from heist_encoders.json_text import JsonObject, plain
from heist_encoders.tasks.registry import task_of

PIXEL_TRAIN = 5_000
"""Frames that probes on raw pixels are trained on: 12,288 dimensions a frame are much."""


def majority(dataset: FrameSource, *, limit: int = 5_000) -> JsonObject:
    """Answer every target with what is most frequent in the train split, whatever the frame.

    Returns:
        The figures of ``ProbeResult.to_dict`` that make sense without a probe.

    Raises:
        DatasetError: if there is nothing to probe for.
    """
    if not can_probe(dataset):
        raise DatasetError(f"{dataset.spec.game} has no labels to probe for")
    train = probe_data(dataset, "train", sample_rows(len(dataset.frames("train")), limit))
    test = probe_data(dataset, "test", sample_rows(len(dataset.frames("test")), limit))
    figures: dict[str, float] = {}
    iou: dict[str, dict[str, float]] = {}
    by_thing: dict[str, dict[str, float]] = {}
    for target in targets_of(dataset):
        answers = test.answers[target.name]
        guess = target.guess(train.answers[target.name])
        scores = target.score(np.broadcast_to(guess, (len(answers.values), len(guess))), answers)
        figures |= scores.figures | {f"linear_{name}": value for name, value in scores.figures.items()}
        for thing, values in scores.by_thing.items():
            by_thing.setdefault(thing, {}).update(values)
    if train.maps is not None and test.maps is not None:
        classes = task_of(dataset.spec.game).classes
        counts = np.stack([(train.maps == number).sum(0) for number in range(len(classes))])
        usual = np.broadcast_to(counts.argmax(0).astype(np.uint8), test.maps.shape)
        figures["miou"], iou["iou"] = intersection_over_union(usual, test.maps, classes)
        shown = shown_classes(usual, len(classes)).astype(np.float32) - 0.5
        add_read_off(targets_of(dataset), shown, classes, test.answers, figures, by_thing)
    found: dict[str, object] = {**figures, **iou, "by_thing": by_thing}
    return plain(found, 6)


def raw_pixels(dataset: FrameSource, *, seed: int = 0, **options: Unpack[ProbeOptions]) -> ProbeResult:
    """Probes on the frame itself, uint8 (3, 64, 64), by default of 5,000 train frames only. No plan accuracy.

    ``options`` are ``probe``'s.
    """

    def pixels(frames: Frames) -> Frames:
        return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))

    options.setdefault("train_limit", PIXEL_TRAIN)
    return probe(pixels, dataset, seed=seed, **options)


def true_state(dataset: FrameSource, *, seed: int = 0, **options: Unpack[ProbeOptions]) -> ProbeResult | None:
    """Probes on a lossless encoding (``Task.true_state``), the ceiling; None where the task has none.

    The planning head sees it without the places of things in their cells, on which no move depends. ``options`` are
    ``probe``'s.
    """
    encoder = TrueState()
    if encoder(dataset, "train", np.arange(1, dtype=np.int64)) is None:
        return None
    plan_samples = options.pop("plan_samples", 0)
    found = probe(encoder, dataset, seed=seed, **options)
    if not plan_samples:
        return found
    options.update({"wanted": (), "plan_samples": plan_samples})
    plan = probe(TrueState(places=False), dataset, seed=seed, **options)
    return replace(
        found, plan_accuracy=plan.plan_accuracy, plan_samples=plan_samples, std={**found.std, **plan.std},
        seconds=found.seconds + plan.seconds,
    )  # fmt: skip


def untrained_encoder(
    architecture: str,
    dataset: FrameSource,
    *,
    params: Mapping[str, object] | None = None,
    seed: int = 0,
    **options: Unpack[ProbeOptions],
) -> ProbeResult:
    """Probes on the encodings of an autoencoder with random weights, drawn by ``seed``.

    ``options`` are ``probe``'s. torch's global random state is left as it was.
    """
    from heist_encoders.autoencoders.registry import autoencoder_class, create_autoencoder

    spec = dataset.spec
    cells = task_of(spec.game).cells_in_view(spec.distribution_mode)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        filled = autoencoder_class(architecture).params_for(dict(params or {}), cells)
        model = create_autoencoder(architecture, filled)
    return probe(model, dataset, seed=seed, **options)


def reference_rows(
    dataset: FrameSource,
    architectures: Iterable[str] = (),
    *,
    params: Mapping[str, Mapping[str, object]] | None = None,
    seed: int = 0,
    **options: Unpack[ProbeOptions],
) -> list[JsonObject]:
    """All reference rows of a dataset, for ``write_report``'s ``references``.

    Args:
        architectures: a row for an untrained encoder of each.
        params: their parameters, by architecture; the defaults where there are none.
        seed: of probes and encoders.
        options: of ``probe``: give those of the encoders beside which the rows shall stand. Only raw pixels are read
            from no more than 5,000 frames; their ``name`` says so where the other rows have more.

    Returns:
        Dictionaries with ``name`` and the figures of ``ProbeResult.to_dict``.
    """
    rows: list[JsonObject] = [{"name": "majority", **majority(dataset)}]
    for architecture in architectures:
        row = untrained_encoder(architecture, dataset, params=(params or {}).get(architecture), seed=seed, **options)
        rows.append({"name": f"{architecture}, untrained", "architecture": architecture, **row.to_dict()})
    # No plan accuracy of pixels: to plan on 64 x 64 places takes fifty times as long as on 9 x 9.
    asked = options.get("train_limit", TRAIN_LIMIT)
    fewer_frames: ProbeOptions = {**options, "train_limit": min(asked, PIXEL_TRAIN), "plan_samples": 0}
    pixels = raw_pixels(dataset, seed=seed, **fewer_frames)
    fewer = pixels.train_samples < min(asked, len(dataset.frames("train"))) and not pixels.fast
    name = f"raw pixels, {pixels.train_samples:,} frames" if fewer else "raw pixels"
    rows.append({"name": name, **pixels.to_dict()})
    if (state := true_state(dataset, seed=seed, **options)) is not None:
        rows.append({"name": "true state", **state.to_dict()})
    return rows
