"""One trial: train an autoencoder, probe it at the rungs, hand checkpoints on. Knows nothing of Ray."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.json_text import JsonObject, read_json
from heist_encoders.training.config import TrainConfig
from heist_encoders.tuning.options import METRICS, Objective
from heist_encoders.tuning.results import ARTIFACT, TRAINING

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.data.source import FrameSource
    from heist_encoders.evaluation.probing import ProbeResult
    from heist_encoders.training.report import EpochReport

PROBE_BATCH = 64
"""Frames encoded at a time; more would decide how much memory a trial of small batches takes."""
READ = tuple(name for name in METRICS if name != "test_loss")
"""Figures that a trial reports of what its probes read."""
STATISTICS_FRAMES = 1024
"""Frames behind mean and standard deviation of the encodings in a trial's artifacts; ``promote_winner`` takes more."""

Report = Callable[[JsonObject, "Path | None"], None]
"""Takes the figures and the folder of a checkpoint, if there is one."""


class Trial:
    """Trains one configuration and reports it.

    Args:
        config: What to train.
        dataset: An open dataset.
        objective: What the trial is evaluated by.
        folder: A folder of its own to work in.
        report: Called with the figures and a checkpoint folder (valid during the call).
        provenance: Enters the artifacts.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: FrameSource,
        objective: Objective,
        folder: Path,
        report: Report,
        provenance: JsonObject | None = None,
    ) -> None:
        objective.check_game(dataset.spec.game)
        self.config, self.dataset, self.objective = config.with_params_of(dataset), dataset, objective
        self.folder, self.report, self.provenance = folder, report, provenance or {}
        self.figures: JsonObject = {}
        self.started = time.monotonic()
        self.probing = 0.0
        self.history: list[JsonObject] = []

    def run(self, checkpoint: Path | None = None) -> JsonObject:
        """Train to the end, from ``checkpoint`` (a folder that was reported earlier) if given; the last figures.

        A checkpoint of a finished training is reported as it is: population-based training may ask for that.
        """
        from heist_encoders.training.train import train

        if checkpoint is not None and not (checkpoint / TRAINING).is_dir():
            return self._report_finished(checkpoint)
        self.figures = measure_encoder(self.config)
        if self.objective.reason(self.figures):
            # Known before any training: no encoder over a limit can win.
            zeros = {"epoch": 0, "samples": 0, "seconds": 0.0, self.objective.metric: 0.0}
            self._send({"test_loss": 1e9, **zeros}, None, complete=True)
            return self.figures
        work = self.folder / TRAINING
        if checkpoint is not None:
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(checkpoint / TRAINING, work)
            adopt(work, self.config, self.dataset)
        result = train(self.config, self.dataset, out=work, callback=self._after_epoch)
        self.history = [epoch.to_dict() for epoch in result.history]
        last = result.history[-1]
        self._probe(result.model, {**_epoch_figures(last), "test_loss": result.test_loss}, None, complete=True)
        return self.figures

    def _after_epoch(self, report: EpochReport) -> None:
        epoch = report.epoch + 1
        if epoch >= self.config.max_epochs or not self.objective.probed(epoch):
            return
        work = self.folder / TRAINING
        started = time.monotonic()
        model, self.history = best_model(self.config, work)
        self.probing += time.monotonic() - started
        best = min(epoch["test_loss"] for epoch in self.history)
        self._probe(model, {**_epoch_figures(report), "test_loss": best}, work, complete=False)

    def _probe(self, model: BaseAutoencoder, figures: JsonObject, work: Path | None, *, complete: bool) -> None:
        from heist_encoders.evaluation.probing import can_probe
        from heist_encoders.zoo.artifact import save_artifact

        started = time.monotonic()
        read = read_metric(model, self.dataset, self.objective).to_dict() if can_probe(self.dataset) else {}
        self.probing += time.monotonic() - started
        figures = {**figures, **{name: read[name] or 0.0 for name in READ if name in read and read[name] is not None}}
        out = self.folder / "checkpoint"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        self._complete_figures(figures, complete)
        save_artifact(
            out / ARTIFACT,
            model,
            name=f"{self.config.autoencoder}-trial",
            dataset=self.dataset,
            statistics_frames=STATISTICS_FRAMES,
            training={
                "config": self.config.to_dict(),
                **{key: self.figures[key] for key in ("epoch", "samples", "seconds")},
                "history": self.history,
            },
            metrics={"trial": {**self.figures, "iou": read.get("iou") or {}}},
            provenance=self.provenance,
        )
        if work is not None:
            _link_tree(work, out / TRAINING)
        self.report(self.figures, out)
        shutil.rmtree(out, ignore_errors=True)

    def _report_finished(self, checkpoint: Path) -> JsonObject:
        from heist_encoders.zoo.artifact import load_artifact

        trial = load_artifact(checkpoint / ARTIFACT).metrics["trial"]
        self.figures = {**{key: value for key, value in trial.items() if key != "iou"}, "complete": True}
        self.report(self.figures, checkpoint)
        return self.figures

    def _send(self, figures: JsonObject, checkpoint: Path | None, *, complete: bool) -> None:
        self._complete_figures(figures, complete)
        self.report(self.figures, checkpoint)

    def _complete_figures(self, figures: JsonObject, complete: bool) -> None:
        self.figures = {**self.figures, **figures, "complete": complete}
        self.figures["objective"] = self.objective.score(self.figures)
        self.figures["reason"] = self.objective.reason(self.figures)
        self.figures["feasible"] = not self.figures["reason"]
        self.figures["probe_share"] = self.probing / max(time.monotonic() - self.started, 1e-9)


def read_metric(model: BaseAutoencoder, dataset: FrameSource, objective: Objective, *, seeds: int = 1) -> ProbeResult:
    """What probes of ``seeds`` seeds read of the objective's metric from a model's encodings."""
    from heist_encoders.evaluation.probing import probe

    # By the test loss there is nothing to read, but the figure that encoders are compared by is worth its seconds.
    wanted = "miou" if objective.metric == "test_loss" else objective.metric
    return probe(
        model,
        dataset,
        seeds=seeds,
        train_limit=objective.probe_frames,
        test_limit=max(256, objective.probe_frames // 2),
        fast=True,
        wanted=(wanted,),
        batch_size=PROBE_BATCH,
        device=next(model.parameters()).device.type,
    )


def measure_encoder(config: TrainConfig) -> JsonObject:
    """Size and speed of a configuration's encoder, which training does not change.

    Returns:
        ``latent_dimension``, ``params`` (weights of the whole autoencoder), ``latency_ms`` (CPU time of the encoder on
        one frame, on one thread; see ``cpu_cost``: other trials that share the machine hardly change it).
    """
    from heist_encoders.autoencoders.registry import create_autoencoder
    from heist_encoders.evaluation.speed import cpu_cost

    model = create_autoencoder(config.autoencoder, config.params)
    return {
        "latent_dimension": math.prod(model.encoding_shape),
        "params": sum(p.numel() for p in model.parameters()),
        "latency_ms": cpu_cost(model),
    }


def best_model(config: TrainConfig, work: Path) -> tuple[BaseAutoencoder, list[JsonObject]]:
    """The best weights so far of the training in folder ``work``, and its epochs.

    The model is in eval mode, on the device that trains.
    """
    from heist_encoders.autoencoders.devices import resolve_device
    from heist_encoders.autoencoders.registry import create_autoencoder
    from heist_encoders.training.checkpoint import Checkpoint

    state, best = Checkpoint(work).load_best()
    model = create_autoencoder(config.autoencoder, config.params)
    model.load_state_dict(best)
    return model.eval().to(resolve_device(config.device)), state["history"]


def adopt(work: Path, config: TrainConfig, dataset: FrameSource) -> None:
    """Let the training in ``work`` go on with other settings, as population-based training asks for.

    Learning rate, weight decay, batch size and the weights of the loss may differ; the autoencoder may not, and is
    left for ``train`` to refuse.
    """
    from heist_encoders.files import write_atomically
    from heist_encoders.training.checkpoint import STATE

    file = work / STATE
    state = read_json(file)
    old = state["identity"]["config"]
    new = {key: value for key, value in config.to_dict().items() if key in old}
    changeable = ("learning_rate", "weight_decay", "batch_size", "loss", "schedule")
    if state["identity"]["dataset_hash"] != dataset.hash or any(
        old[key] != new.get(key) for key in old if key not in changeable
    ):
        return
    if old != new:
        state["identity"]["config"] = new
        write_atomically(file, json.dumps(state, indent=1))


def _epoch_figures(report: EpochReport) -> JsonObject:
    return {
        "epoch": report.epoch + 1,
        "test_loss": report.test_loss,
        "mse": report.mse,
        "active_units": report.active_units,
        "samples": report.samples,
        "samples_per_second": report.samples_per_second,
        "seconds": report.seconds,
    }


def _link_tree(source: Path, target: Path) -> None:
    """A copy of the files of a training folder; hard links where the file system has them, as they are never edited."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.suffix != ".safetensors":
            shutil.copyfile(path, target / path.name)
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
