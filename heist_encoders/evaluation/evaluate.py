"""Everything that is measured of one artifact on one dataset, as figures and pictures."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.data.source import FrameSource
from heist_encoders.errors import ConfigError, DatasetError, MissingDependencyError
from heist_encoders.evaluation import pictures as draw
from heist_encoders.evaluation.decoded_play import played
from heist_encoders.evaluation.encoding import reconstruct_frames
from heist_encoders.evaluation.examples import Examples, choose_examples
from heist_encoders.evaluation.figures import Metrics, ProbeOptions
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.frames import Indices
from heist_encoders.evaluation.metrics import reconstruction_metrics
from heist_encoders.evaluation.probing import ProbeResult, can_probe, has_maps, probe
from heist_encoders.evaluation.speed import speeds
from heist_encoders.json_text import JsonObject, plain
from heist_encoders.semantic import coarsen

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.data.dataset import Dataset
    from heist_encoders.zoo.artifact import Artifact

METRICS, EXAMPLES, LOSSES = "metrics.json", "examples.npz", "metrics.npz"
TEST_FRAMES = 4_000
"""Test frames that reconstructions are compared on, at most."""
SEEDS = 3
"""Seeds that the probes are trained with, for their means and standard deviations."""
PLAN_SAMPLES = 100_000
"""Labelled frames that the planning head is shown for the plan accuracy."""


def evaluate(
    artifact: Artifact | str | Path,
    dataset: Dataset,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    seeds: int = SEEDS,
    plan_samples: int = PLAN_SAMPLES,
    play_levels: int = 0,
    probe_frames: int = 20_000,
    map_samples: int | None = None,
    wanted: Collection[str] | None = None,
    test_frames: int = TEST_FRAMES,
    pictures: bool = True,
    references: bool = False,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Metrics:
    """Measure reconstruction, speed, and what probes read from the encodings of an artifact, and draw pictures.

    Args:
        artifact: an artifact, or its name, path or URI.
        dataset: of the artifact's game and mode.
        out: folder for ``metrics.json`` and the pictures. None: the figures go into the artifact (its card shows them)
            and the pictures into its folder ``evaluation``; of a packaged artifact, or the copy of one from elsewhere,
            neither of which is ever changed, into ``evaluations/<name>-<mode>`` in the user's folder.
        seed: of the probes.
        seeds: they are trained for so many seeds, from ``seed`` on; the figures are means, ``std`` holds the standard
            deviations.
        plan_samples: labelled frames that the planning head is shown for the plan accuracy (some minutes for 100,000);
            0 leaves it out.
        play_levels: evaluation levels that the packaged policy plays by the reconstructions, see ``decoded_play``
            (Heist without backgrounds; a minute for 128); 0 leaves it out.
        probe_frames: frames of the train split that probes are trained on, at most.
        map_samples: frames that the probe for semantic maps is shown, the same ones again and again; None: 60,000.
            Figures compare only between evaluations with the same two numbers.
        wanted: names of figures (``miou``, ``presence_f1``, ...); only their probes are trained. None: all.
        test_frames: frames of the test split that reconstruction is measured on, at most, evenly spread.
        pictures: also write ``reconstructions.png``, ``video.mp4``, ``loss.png`` and ``metrics.npz`` (the last two only
            if the artifact knows its training's history).
        references: also train probes on an untrained encoder of the architecture, on raw pixels and on the true state.
        device: ``"auto"`` (GPU if there is one), ``"cpu"`` or ``"cuda"``.
        progress: called with the name of each part as it begins.

    Returns:
        The figures, as in ``metrics.json``; ``folder`` says where the pictures are.

    Raises:
        DatasetError: if the dataset is of another game, mode or background than the artifact's, or a split is empty.
        ArtifactError, UnknownNameError: as ``find_artifact``. ConfigError: if ``out`` can't be written.
        ResourceError: if the disk is full.

    Examples:
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> figures = heist_encoders.evaluate(
        ...     "conv_maxpool", data, out="evaluation", wanted=["presence_f1"], plan_samples=0, pictures=False
        ... )
        >>> 0 <= figures["probes"]["presence_f1"] <= 1
        True
    """
    from heist_encoders.zoo.lookup import find_artifact

    say = progress or (lambda part: None)
    started = time.perf_counter()
    if isinstance(artifact, str | Path):
        artifact = find_artifact(artifact, _mode(dataset) if _is_architecture(artifact) else None)
    check_matches(artifact, dataset)
    for split in ("train", "test"):
        if len(dataset.frames(split)) == 0:
            raise DatasetError(
                f"the dataset's {split} split is empty, so there is nothing to evaluate on; generate one with more "
                "frames or another test_fraction"
            )
    folder = output_folder(artifact, out)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = artifact.load_model(device)

    metrics: Metrics = {
        "name": artifact.name,
        "family": artifact.architecture,
        "game": artifact.game,
        "distribution_mode": artifact.distribution_mode,
        "sha256": artifact.sha256,
        "dataset_hash": dataset.hash,
        "encoding_shape": list(artifact.encoding_shape),
        "latent_dimension": math.prod(artifact.encoding_shape),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    say("reconstruction")
    metrics["reconstruction"] = measure_reconstruction(model, artifact.training, dataset, test_frames)
    say("probes")
    found: ProbeResult | None = None
    if can_probe(dataset):
        settings: ProbeOptions = {
            "seeds": seeds, "plan_samples": plan_samples, "train_limit": probe_frames,
            "map_samples": map_samples, "wanted": wanted, "device": device,
        }  # fmt: skip
        found = probe(model, dataset, seed=seed, **settings)
        metrics["probes"] = found.to_dict()
        metrics["references"] = _references(artifact, dataset, settings if references else None, seed)
    if play_levels:
        say("play")
        metrics["play"] = played(model, artifact, play_levels, seed)
    say("speed")
    metrics["speed"] = speeds(model)
    metrics["seconds"] = round(time.perf_counter() - started, 1)
    say("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "summary.txt", summary_text(model, artifact, metrics))
    _write_examples(model, dataset, found, folder, pictures)
    if pictures:
        _write_pictures(model, artifact, dataset, folder)
    metrics = cast(Metrics, plain(metrics, 6))
    _write_metrics(artifact, metrics, folder, into_artifact=out is None)
    return {**metrics, "folder": str(folder)}


def _is_architecture(name: str | Path) -> bool:
    from heist_encoders.zoo.names import architecture_of

    return isinstance(name, str) and architecture_of(name) is not None


def _mode(dataset: FrameSource) -> str:
    return str(dataset.spec.distribution_mode)


def check_matches(artifact: Artifact, dataset: FrameSource) -> None:
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
    from heist_encoders.paths import home, user_path
    from heist_encoders.zoo.lookup import PACKAGED
    from heist_encoders.zoo.remote import cache

    if out is not None:
        folder = user_path(out)
    elif artifact.path.is_relative_to(PACKAGED.resolve()):
        folder = home() / "evaluations" / f"{artifact.name}-{artifact.distribution_mode}"
    elif artifact.path.is_relative_to(cache().resolve()):  # many may have one name
        folder = home() / "evaluations" / f"{artifact.name}-{artifact.distribution_mode}-{artifact.sha256[:12]}"
    else:
        folder = artifact.path / "evaluation"
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file, expected a folder to write the evaluation to")
    return folder


def measure_reconstruction(
    model: BaseAutoencoder, training: JsonObject, dataset: FrameSource, limit: int
) -> dict[str, float | None]:
    """``reconstruction_metrics`` on at most ``limit`` evenly spread test frames, and the artifact's own loss on them.

    The loss is that of its training (key ``loss`` of ``training`` or of ``training["config"]``), None if unknown.
    """
    count = len(dataset.frames("test"))
    rows = np.unique(np.linspace(0, count - 1, min(count, limit)).astype(np.int64))
    frames = np.ascontiguousarray(dataset.frames("test")[rows])
    maps = _Picked(dataset, rows) if has_maps(dataset) else None
    figures: dict[str, float | None] = dict(reconstruction_metrics(model, frames, maps))
    config = training.get("loss") or (training.get("config") or {}).get("loss")
    figures["test_loss"] = mean_loss(model, config, dataset, rows) if isinstance(config, Mapping) else None
    figures["test_frames"] = float(len(rows))
    return figures


class _Picked:
    """The semantic maps of some rows of the test split."""

    def __init__(self, dataset: FrameSource, rows: Indices) -> None:
        self._maps, self._rows = dataset.semantic_maps("test"), rows
        self.classes = self._maps.classes

    def __len__(self) -> int:
        return len(self._rows)

    def pick(self, rows: Indices | slice) -> NDArray[np.uint8]:
        """As ``SemanticMaps.pick``."""
        return self._maps.pick(self._rows[rows])


def mean_loss(
    model: BaseAutoencoder,
    config: Mapping[str, object],
    dataset: FrameSource,
    rows: Indices,
    *,
    batch_size: int = 128,
) -> float:
    """Mean over test frames of the loss that ``config`` (a ``LossConfig`` as a mapping) describes, in eval mode.

    The semantic map loss is left out: the decoder that reads the maps is no part of an artifact.

    Args:
        rows: int64 (N,), rows of the test split.
    """
    from heist_encoders.autoencoders.frames import to_input
    from heist_encoders.evaluation.encoding import model_device
    from heist_encoders.training.config import LossConfig
    from heist_encoders.training.data import loss_context
    from heist_encoders.training.objective import Batch, Objective

    device = model_device(model)
    loss = LossConfig.from_dict({**config, "semantic_map": 0.0})
    objective = Objective(loss, model, loss_context(loss, dataset), device)
    maps = dataset.semantic_maps("test") if loss.needs_maps else None
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for part in np.array_split(rows, max(1, -(-len(rows) // batch_size))):
            frames = torch.from_numpy(np.ascontiguousarray(dataset.frames("test")[part])).to(device)
            batch = Batch(frames, None if maps is None else torch.from_numpy(maps.pick(part)).to(device))
            inputs = to_input(frames, device)
            total += float(objective(model, inputs, model(inputs), batch).total) * len(part)
    return total / max(1, len(rows))


def _references(
    artifact: Artifact, dataset: FrameSource, settings: ProbeOptions | None, seed: int
) -> dict[str, JsonObject]:
    """The reference rows, of the artifact's sizes and with the ``settings`` of its own probes; None: only majority."""
    from heist_encoders.evaluation.references import majority, reference_rows

    if settings is None:
        return {"majority": majority(dataset)}
    architecture = artifact.architecture
    rows = reference_rows(dataset, [architecture], params={architecture: artifact.params}, seed=seed, **settings)
    keys = {f"{architecture}, untrained": "untrained"}
    return {keys.get(row["name"], row["name"].split(",")[0].replace(" ", "_")): row for row in rows}


def summary_text(model: BaseAutoencoder, artifact: Artifact, metrics: Metrics) -> str:
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
        f"{artifact.name} ({artifact.architecture}), {artifact.game}, {artifact.distribution_mode} mode",
        f"encoding: {' x '.join(map(str, artifact.encoding_shape))} = latent dimension {metrics['latent_dimension']}",
        "",
        str(layers),
        "",
        "Speed: milliseconds a call, from uint8 frames to float32 encodings, both in main memory; cpu: one thread",
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
    model: BaseAutoencoder, dataset: FrameSource, found: ProbeResult | None, folder: Path, pictures: bool
) -> None:
    rows, element = choose_examples(dataset, found.test_rows if found else None)
    frames = np.ascontiguousarray(dataset.frames("test")[rows])
    maps = read = np.zeros((len(rows), 0, 0), np.uint8)
    if found is not None and found.maps is not None:
        source = dataset.semantic_maps("test")
        maps = coarsen(source.pick(rows), len(source.classes))
        read = found.maps[np.searchsorted(found.test_rows, rows)]
    examples = Examples(rows, element, frames, reconstruct_frames(model, frames), maps, read)
    examples.save(folder / EXAMPLES)
    if pictures:
        kinds = sorted(set(element.tolist()) - {-1})
        chosen = np.concatenate([examples.of(index)[:2] for index in (*kinds, -1)])
        grid = draw.reconstruction_grid(examples.frames[chosen], examples.reconstructions[chosen])
        draw.write_png(folder / "reconstructions.png", grid)


def _write_pictures(model: BaseAutoencoder, artifact: Artifact, dataset: FrameSource, folder: Path) -> None:
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


def _write_metrics(artifact: Artifact, metrics: Metrics, folder: Path, *, into_artifact: bool) -> None:
    """``metrics.json`` comes last: where it is, the evaluation is whole."""
    write_text(folder / METRICS, json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    if into_artifact and folder.is_relative_to(artifact.path):
        from heist_encoders.zoo.artifact import update_metrics

        update_metrics(artifact, metrics)
