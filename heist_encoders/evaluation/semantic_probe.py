"""The main probe: which semantic map a small decoder reads from frozen encodings, scored by mean IoU."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heist_encoders.autoencoders.semantic_decoder import SemanticDecoder
from heist_encoders.evaluation.frames import Floats, Indices
from heist_encoders.semantic import UNKNOWN
from heist_encoders.training.objective import map_cross_entropy

Maps = npt.NDArray[np.uint8]
"""(N, side, side), the class of each block."""
THRESHOLD_FRAMES = 5_000
"""Training frames, or a few more, by which it is chosen from which probability on a class counts as shown."""
_DRAWING = threading.Lock()
"""Held while weights are drawn: torch's generator is one for all threads, and probes of several seeds run at once."""


@dataclass(frozen=True)
class MapProbeSettings:
    """How the probe is trained: Adam, one cosine cycle, gradients clipped at 1."""

    samples: int = 60_000
    """Frames shown in all; the training frames again and again, shuffled anew in each pass."""
    max_passes: int = 20
    """Of few training frames it sees no more than so many passes."""
    batch_size: int = 16
    learning_rate: float = 4e-3
    class_power: float = 0.25
    """How much more rare classes weigh (``map_cross_entropy``): few false alarms, which the IoU counts like misses."""


@dataclass(frozen=True)
class MapReading:
    """What the probe read of M test frames.

    Attributes:
        miou: mean over the classes that the test frames show of the intersection over union.
        iou: of each class; NaN for a class that no test frame shows.
        predictions: uint8 (M, side, side).
        shown: float32 (M, classes), above 0 where the probe says that the frame shows the class at all:
            its highest log-probability in any block, less the threshold that tells most training frames right.
            None where it was not asked for.
    """

    miou: float
    iou: dict[str, float]
    predictions: Maps
    shown: Floats | None


def intersection_over_union(predicted: Maps, actual: Maps, classes: tuple[str, ...]) -> tuple[float, dict[str, float]]:
    """Mean IoU, and IoU by class: TP / (TP + FP + FN) over all known blocks of all frames (Everingham et al. 2010).

    Args:
        predicted: uint8 (N, H, W), classes.
        actual: uint8 (N, H, W), classes; where it is ``UNKNOWN``, nothing counts.
        classes: names of the class numbers.

    Returns:
        The mean over the classes that ``actual`` shows, and each class's; NaN for one that it does not show.

    Examples:
        >>> from heist_encoders.evaluation.semantic_probe import intersection_over_union
        >>> actual = np.array([[[0, 0], [1, 1]]], np.uint8)
        >>> predicted = np.array([[[0, 1], [1, 1]]], np.uint8)
        >>> mean, by_class = intersection_over_union(predicted, actual, ("floor", "wall"))
        >>> round(mean, 3), by_class["floor"]
        (0.583, 0.5)
    """
    number, known = len(classes), actual != UNKNOWN
    index = actual[known].astype(np.int64) * number + predicted[known]
    counts = np.bincount(index, minlength=number**2).reshape(number, number).astype(np.float64)
    hits, shown, said = np.diag(counts), counts.sum(1), counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.where(shown > 0, hits / (shown + said - hits), np.nan)
    return float(np.nanmean(iou)), dict(zip(classes, iou.tolist(), strict=True))


class Normaliser:
    """Encodings of any dtype to float32 of mean 0 and standard deviation 1: by channel where they have an image's
    shape, else by dimension.

    Args:
        encodings: (N, *shape), those of the training frames.
    """

    def __init__(self, encodings: npt.NDArray[np.generic]) -> None:
        sample = torch.from_numpy(np.ascontiguousarray(encodings[:: max(1, len(encodings) // 4_000)])).float()
        over = (0, 2, 3) if sample.ndim == 4 and sample.shape[2] * sample.shape[3] > 1 else (0,)
        self._mean = sample.mean(over, keepdim=True)
        std = sample.std(over, correction=0, keepdim=True)
        self._scale = torch.where(std > 1e-6, 1 / std.clamp(min=1e-12), torch.zeros(()))

    def __call__(self, encodings: npt.NDArray[np.generic], device: str | torch.device = "cpu") -> Tensor:
        """(B, *shape) -> float32 of the same shape, clipped to +-20 standard deviations."""
        values = torch.from_numpy(np.ascontiguousarray(encodings)).to(device).float()
        return ((values - self._mean.to(device)) * self._scale.to(device)).clamp_(-20, 20)


def read_maps(
    x_train: npt.NDArray[np.generic],
    maps_train: Maps,
    x_test: npt.NDArray[np.generic],
    maps_test: Maps,
    classes: tuple[str, ...],
    *,
    presence: bool = True,
    seed: int = 0,
    settings: MapProbeSettings | None = None,
    device: str = "cpu",
) -> MapReading:
    """Train the probe on some encodings and evaluate it on others.

    Args:
        x_train, x_test: encodings (N, *shape), (M, *shape).
        maps_train, maps_test: uint8 (N, side, side), (M, side, side).
        classes: names of the class numbers.
        presence: whether to find which classes each frame shows, too; that takes a pass over training frames.
        seed: of the weights and the order of the frames.
        settings: how it is trained.
        device: ``cpu`` or ``cuda``.
    """
    settings = settings or MapProbeSettings()
    normalise = Normaliser(x_train)
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = SemanticDecoder(tuple(x_train.shape[1:]), len(classes), side=maps_train.shape[-1]).to(device)
    decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(decoder.parameters(), lr=settings.learning_rate, fused=True)
    batch_size = min(settings.batch_size, len(x_train))
    steps = max(1, min(settings.samples, settings.max_passes * len(x_train)) // batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for rows in _passes(len(x_train), batch_size, steps, seed):
        optimizer.zero_grad(set_to_none=True)
        target = torch.from_numpy(maps_train[rows]).to(device).long()
        logits = decoder(normalise(x_train[rows], device))
        map_cross_entropy(logits, target, settings.class_power).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    decoder.eval()

    def read(x: npt.NDArray[np.generic]) -> tuple[Maps, Floats]:
        """The most probable class of each block, and the log-probability of each class where it is highest."""
        maps, highest = [], []
        with torch.inference_mode():
            for start in range(0, len(x), 256):
                logits = decoder(normalise(x[start : start + 256], device))
                maps.append(logits.argmax(1).to(torch.uint8).cpu().numpy())
                highest.append(logits.log_softmax(1).amax((2, 3)).cpu().numpy())
        return np.concatenate(maps), np.concatenate(highest)

    predictions, highest = read(x_test)
    shown = None
    if presence:
        some = slice(None, None, max(1, len(x_train) // THRESHOLD_FRAMES))
        shown = highest - best_thresholds(read(x_train[some])[1], shown_classes(maps_train[some], len(classes)))
    return MapReading(*intersection_over_union(predictions, maps_test, classes), predictions, shown)


def shown_classes(maps: Maps, number: int) -> npt.NDArray[np.bool_]:
    """Which of the classes maps uint8 (N, H, W) show anywhere: bool (N, number)."""
    return np.stack([(maps == label).any(axis=(1, 2)) for label in range(number)], axis=1)


def best_thresholds(scores: Floats, actual: npt.NDArray[np.bool_]) -> Floats:
    """The threshold of each class above which to say yes, so that the fewest frames are told wrong: float32 (K,).

    Scores that tell nothing say what is more frequent, as for the highest accuracy; those by F1 would say yes to all.

    Args:
        scores: float32 (N, K).
        actual: bool (N, K), what is right.
    """
    thresholds = np.empty(scores.shape[1], np.float32)
    for column, (values, right) in enumerate(zip(scores.T, actual.T, strict=True)):
        order = np.argsort(-values, kind="stable")
        steps = np.concatenate([[np.inf], values[order], [-np.inf]])
        wrong = np.concatenate([[0], np.cumsum(np.where(right[order], -1, 1))])  # up to a constant
        wrong[1:-1][steps[1:-2] == steps[2:-1]] = len(values)  # equal scores are said yes to together
        best = int(wrong.argmin())
        thresholds[column] = (steps[best] + steps[best + 1]) / 2
    return thresholds


def _passes(count: int, batch_size: int, steps: int, seed: int) -> list[Indices]:
    """Rows of each step, int64 (batch_size,): shuffled passes over all of them, the rest of a pass left out."""
    generator = np.random.default_rng(seed)
    per_pass = count // batch_size
    passes = [
        generator.permutation(count)[: per_pass * batch_size].reshape(per_pass, batch_size)
        for _ in range(-(-steps // per_pass))
    ]
    return list(np.concatenate(passes)[:steps])
