"""Everything that is measured of one artifact on one dataset, as figures and pictures."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from heist_encoders.errors import ConfigError, DatasetError, MissingDependencyError
from heist_encoders.evaluation import pictures as draw
from heist_encoders.evaluation.encoding import reconstruct_frames
from heist_encoders.evaluation.examples import Examples, choose_examples
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.metrics import reconstruction_metrics
from heist_encoders.evaluation.speed import speeds
from heist_encoders.evaluation.targets import LabelledFrames, has_targets
from heist_encoders.evaluation.usefulness import Usefulness, usefulness
from heist_encoders.json_text import plain
from heist_encoders.tasks.heist.elements import ELEMENTS

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.data.dataset import Dataset
    from heist_encoders.zoo.artifact import Artifact

METRICS, EXAMPLES, LOSSES = "metrics.json", "examples.npz", "metrics.npz"
TEST_FRAMES = 4_000
"""Test frames that reconstructions are compared on, at most."""
SEEDS = 5
"""Seeds that the probes are trained with, for their means and deviations."""


def evaluate(
    artifact: Artifact | str | Path,
    dataset: Dataset,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    pictures: bool = True,
    references: bool = False,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure reconstruction, usefulness and speed of an artifact, and draw pictures.

    Args:
        artifact: an artifact, or its name, path or URI.
        dataset: of the artifact's game and mode.
        out: folder for ``metrics.json`` and the pictures. None: the figures go into the artifact (its card shows them)
            and the pictures into its folder ``evaluation``; of a packaged artifact, which is never changed, into
            ``evaluations/<name>-<mode>`` in the user's folder.
        seed: of the probes. seeds: they are trained for so many seeds, from ``seed`` on; the figures are means, ``std``
            holds the deviations.
        pictures: also write ``reconstructions.png``, ``video.mp4``, ``loss.png`` and ``metrics.npz`` (the last two only
            if the artifact knows its training's history).
        references: also train probes on an untrained encoder of the family and on raw pixels (about a minute more).
        device: ``"auto"`` (GPU if there is one), ``"cpu"`` or ``"cuda"``.
        progress: called with the name of each part as it begins.

    Returns:
        The figures, as in ``metrics.json``; ``folder`` says where the pictures are.

    Raises:
        DatasetError: if the dataset is of another game, mode or background than the artifact's.
        ArtifactError, UnknownNameError: as ``find_artifact``. ConfigError: if ``out`` can't be written.
    """
    from heist_encoders.zoo.lookup import find_artifact

    say = progress or (lambda part: None)
    started = time.perf_counter()
    if isinstance(artifact, str | Path):
        artifact = find_artifact(artifact, _mode(dataset) if _is_family(artifact) else None)
    check_matches(artifact, dataset)
    folder = output_folder(artifact, out)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = artifact.load_model(device)
    labelled = cast(LabelledFrames, dataset)

    metrics: dict[str, Any] = {
        "name": artifact.name,
        "family": artifact.family,
        "game": artifact.game,
        "distribution_mode": artifact.distribution_mode,
        "sha256": artifact.sha256,
        "dataset_hash": dataset.hash,
        "encoding_shape": list(artifact.encoding_shape),
        "encoding_size": math.prod(artifact.encoding_shape),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    say("reconstruction")
    metrics["reconstruction"] = measure_reconstruction(model, artifact.training, labelled)
    say("usefulness")
    found: Usefulness | None = None
    if has_targets(labelled):
        found = usefulness(model, labelled, seed=seed, seeds=seeds, device=device)
        metrics["usefulness"] = found.to_dict()
        metrics["references"] = _references(artifact, labelled, seed, device, references)
    say("speed")
    metrics["speed"] = speeds(model)
    metrics["seconds"] = round(time.perf_counter() - started, 1)
    say("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "summary.txt", summary_text(model, artifact, metrics))
    _write_examples(model, labelled, found, folder, pictures)
    if pictures:
        _write_pictures(model, artifact, labelled, folder)
    metrics = cast("dict[str, Any]", plain(metrics, 6))
    _write_metrics(artifact, metrics, folder, into_artifact=out is None)
    return {**metrics, "folder": str(folder)}


def _is_family(name: str | Path) -> bool:
    from heist_encoders.zoo.names import family_of

    return isinstance(name, str) and family_of(name) is not None


def _mode(dataset: Any) -> str:
    return str(dataset.spec.distribution_mode)


def check_matches(artifact: Artifact, dataset: Any) -> None:
    """Refuse a dataset whose frames don't look like those that the artifact was trained on.

    Raises:
        DatasetError: naming what differs.
    """
    for option in ("game", "distribution_mode", "use_backgrounds"):
        given, expected = getattr(dataset.spec, option), getattr(artifact, option)
        if given != expected:
            raise DatasetError(
                f"the dataset has {option} {given!r}, but {artifact.name} was trained on {expected!r}; "
                f"generate a dataset with {option}: {expected} or choose another artifact"
            )


def output_folder(artifact: Artifact, out: str | Path | None) -> Path:
    """Where an evaluation's files go, see ``evaluate``; nothing is made yet.

    Raises:
        ConfigError: if it is a file.
    """
    from heist_encoders.paths import home
    from heist_encoders.zoo.lookup import PACKAGED

    if out is not None:
        folder = Path(out)
    elif artifact.path.is_relative_to(PACKAGED.resolve()):
        folder = home() / "evaluations" / f"{artifact.name}-{artifact.distribution_mode}"
    else:
        folder = artifact.path / "evaluation"
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, expected a folder to write the evaluation to")
    return folder


def measure_reconstruction(
    model: BaseAutoencoder, training: Mapping[str, Any], dataset: LabelledFrames
) -> dict[str, float | None]:
    """``reconstruction_metrics`` on evenly spread test frames, and the test loss by the artifact's own loss.

    The loss is that of its training (key ``loss`` of ``training`` or of ``training["config"]``), None if unknown.
    """
    count = len(dataset.frames("test"))
    rows = np.unique(np.linspace(0, count - 1, min(count, TEST_FRAMES)).astype(np.int64))
    frames = np.ascontiguousarray(dataset.frames("test")[rows])
    boxes = np.asarray(dataset.boxes("test"))[rows] if has_targets(dataset) else None
    figures: dict[str, float | None] = dict(reconstruction_metrics(model, frames, boxes))
    config = training.get("loss") or (training.get("config") or {}).get("loss")
    figures["test_loss"] = mean_loss(model, config, frames, boxes) if isinstance(config, Mapping) else None
    figures["test_frames"] = float(len(rows))
    return figures


def mean_loss(
    model: BaseAutoencoder, config: Mapping[str, Any], frames: Any, boxes: Any, *, batch_size: int = 128
) -> float:
    """Mean over frames of the loss that ``config`` (a ``LossConfig`` as a mapping) describes, in eval mode.

    The element map loss is left out: the layer that reads the maps is no part of an artifact.

    Args:
        frames: uint8 (N, 64, 64, 3). boxes: int16 (N, 7, 4) or None, then elements weigh as all pixels do.
    """
    from heist_encoders.autoencoders.frames import to_input
    from heist_encoders.evaluation.encoding import model_device
    from heist_encoders.training.config import LossConfig
    from heist_encoders.training.losses import Objective

    device = model_device(model)
    objective = Objective(LossConfig.from_dict({**config, "element_map": 0.0}), device)
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(frames), batch_size):
            batch = to_input(frames[start : start + batch_size], device)
            part = None if boxes is None else torch.from_numpy(boxes[start : start + batch_size]).to(device)
            total += float(objective(model, batch, model(batch), part).total) * len(batch)
    return total / max(1, len(frames))


def _references(
    artifact: Artifact, dataset: LabelledFrames, seed: int, device: str, full: bool
) -> dict[str, dict[str, Any]]:
    from heist_encoders.evaluation.references import majority, random_encoder, raw_pixels

    rows = {"majority": majority(dataset)}
    if full:
        untrained = random_encoder(artifact.family, dataset, params=artifact.params, seed=seed, device=device)
        rows["untrained"] = untrained.to_dict()
        rows["raw_pixels"] = raw_pixels(dataset, seed=seed, device=device).to_dict()
    return rows


def summary_text(model: BaseAutoencoder, artifact: Artifact, metrics: Mapping[str, Any]) -> str:
    """The content of ``summary.txt``: layers and sizes by torchinfo, then the speeds."""
    import torchinfo

    with redirect_stdout(io.StringIO()):
        layers = torchinfo.summary(
            model,
            input_size=(1, 3, 64, 64),
            device=next(model.parameters()).device,
            verbose=0,
            col_names=("output_size", "num_params", "kernel_size", "mult_adds"),
            row_settings=("var_names",),
        )
    lines = [
        f"{artifact.name} ({artifact.family}), {artifact.game}, {artifact.distribution_mode} mode",
        f"encoding: {' x '.join(map(str, artifact.encoding_shape))} = {metrics['encoding_size']} numbers",
        "",
        str(layers),
        "",
        "Speed: milliseconds a call, from uint8 frames in main memory to numbers in main memory; cpu: one thread",
        f"{'device':8}{'part':10}{'batch':>6}{'median':>10}{'p10':>10}{'p90':>10}{'frames/s':>12}",
    ]
    for device, parts in metrics["speed"].items():
        for part, batches in parts.items():
            for batch, t in batches.items():
                lines.append(
                    f"{device:8}{part:10}{batch:>6}{t['median_ms']:10.3f}{t['p10_ms']:10.3f}{t['p90_ms']:10.3f}"
                    f"{t['frames_per_second']:12.0f}"
                )
    return "\n".join(lines) + "\n"


def _write_examples(
    model: BaseAutoencoder, dataset: LabelledFrames, found: Usefulness | None, folder: Path, pictures: bool
) -> None:
    rows, element, boxes = choose_examples(dataset, found.test_rows if found else None)
    frames = np.ascontiguousarray(dataset.frames("test")[rows])
    beliefs = np.full(len(rows), np.nan, np.float32)
    if found is not None:
        shown = element >= 0
        beliefs[shown] = found.probabilities[np.searchsorted(found.test_rows, rows[shown]), element[shown]]
    examples = Examples(rows, element, boxes, frames, reconstruct_frames(model, frames), beliefs)
    examples.save(folder / EXAMPLES)
    if pictures:
        first = [examples.of(index)[:2] for index in range(-1, len(ELEMENTS))]
        chosen = np.concatenate([*first[1:], first[0]])
        grid = draw.reconstruction_grid(examples.frames[chosen], examples.reconstructions[chosen])
        draw.write_png(folder / "reconstructions.png", grid)


def _write_pictures(model: BaseAutoencoder, artifact: Artifact, dataset: LabelledFrames, folder: Path) -> None:
    from heist_encoders.evaluation.video import played_frames, reconstruction_video

    try:
        frames = played_frames(artifact.game, artifact.distribution_mode, artifact.use_backgrounds)
    except MissingDependencyError:  # no procgen on this machine: the dataset's frames will do
        frames = np.ascontiguousarray(dataset.frames("test")[:150])
    reconstruction_video(model, frames, folder / "video.mp4")
    history = artifact.training.get("history")
    if isinstance(history, list) and history:
        draw.write_losses(folder / LOSSES, history)
        draw.loss_graph(folder / "loss.png", history, f"{artifact.name}: loss per epoch")


def _write_metrics(artifact: Artifact, metrics: dict[str, Any], folder: Path, *, into_artifact: bool) -> None:
    """``metrics.json`` comes last: where it is, the evaluation is whole."""
    write_text(folder / METRICS, json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    if into_artifact and folder.is_relative_to(artifact.path):
        from heist_encoders.zoo.artifact import update_metrics

        update_metrics(artifact, metrics)
