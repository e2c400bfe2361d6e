"""The training loop: a plain function of a configuration and a dataset."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heist_encoders.autoencoders.base import BaseAutoencoder
from heist_encoders.autoencoders.devices import resolve_device
from heist_encoders.autoencoders.frames import to_input
from heist_encoders.autoencoders.registry import create_autoencoder
from heist_encoders.data.stream import FrameStream
from heist_encoders.errors import ConfigError
from heist_encoders.paths import user_path
from heist_encoders.training.checkpoint import Checkpoint, FolderLock, model_tensors, prepare_folder
from heist_encoders.training.config import TrainConfig, as_config
from heist_encoders.training.data import FrameSource, Split, loss_context, make_feed
from heist_encoders.training.evaluate import TestResult, test
from heist_encoders.training.group import Alone, moving_statistics
from heist_encoders.training.hardware import (
    compiled,
    denormals_as_zero,
    keep_memory,
    resolve_precision,
    torch_threads,
)
from heist_encoders.training.logs import Logs
from heist_encoders.training.objective import Batch, Objective
from heist_encoders.training.optimizer import Optimizer
from heist_encoders.training.report import EpochReport, Progress, TrainResult

_BUDGETS = ("max_epochs", "max_samples", "max_seconds", "patience", "threads", "device", "compile")
"""Settings that may change when a training is resumed."""
_PROGRESS_EVERY = 0.25
"""Seconds between two progress reports."""


def train(
    config: TrainConfig | dict[str, Any],
    dataset: FrameSource | FrameStream,
    *,
    out: str | Path | None = None,
    callback: Callable[[EpochReport], bool | None] | None = None,
    resume: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train an autoencoder and return it with its best weights.

    On the CPU the result is a function of the configuration, the dataset and the number of threads alone, whether
    the training was interrupted or not (``max_seconds`` apart).

    Args:
        config: what to train and how; a dictionary is validated.
        dataset: with ``frames(split)`` uint8 (N, 64, 64, 3) and, where the loss looks at classes,
            ``semantic_maps(split)``; or a ``FrameStream``, to train on frames drawn in the background, each seen once.
        out: folder for checkpoints and logs; None keeps everything in memory.
        callback: called after each epoch; returning True ends the training.
        resume: go on from the last finished epoch in ``out``; False starts anew.
        progress: called a few times a second.

    Raises:
        ConfigError: if a setting, ``out`` or the loss can't be used, or ``out`` holds another training.
        UnknownNameError: if there is no such autoencoder.
        DatasetError: if a split is empty, or its game has no semantic maps and the loss needs them.
        ResourceError: if a GPU is asked for and there is none.

    Examples:
        >>> data = heist_encoders.open_dataset("data/heist")
        >>> result = heist_encoders.train({"autoencoder": "conv_maxpool", "max_epochs": 1, "epoch_samples": 64}, data)
        >>> len(result.history), result.model.encoding_shape
        (1, (32,))
    """
    config = as_config(config)
    with torch_threads(config.threads), keep_memory(), denormals_as_zero():
        device = resolve_device(config.device)
        gpus = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus):
            run = Run(config, dataset, device, None if out is None else user_path(out), resume)
            return run.go(callback, progress)


class Run:
    """One training: its state between epochs, and what moves it on.

    Args:
        config, dataset, out, resume: see ``train``.
        device: where the model lies.
        group: the processes that train together; only the first of them writes.
    """

    def __init__(
        self,
        config: TrainConfig,
        dataset: FrameSource | FrameStream,
        device: torch.device,
        out: Path | None,
        resume: bool,
        group: Alone | None = None,
    ) -> None:
        config = config.with_params_of(dataset)
        self.config, self.device = config, device
        self.group = group or Alone()
        self.dtype = resolve_precision(config.precision, device)
        maps = config.loss.needs_maps
        self.feed = make_feed(dataset, seed=config.seed, with_maps=maps, device=device)
        self.test_split = Split(dataset, "test", with_maps=maps, device=device)
        self.batch_size = min(config.batch_size, self.feed.largest_batch or config.batch_size)
        self.epoch_steps = max(1, round((config.epoch_samples or self.feed.epoch_samples) / self.batch_size))
        epoch_samples = self.epoch_steps * self.batch_size
        self.planned = config.planned_samples(epoch_samples)
        self.test_places = self.test_split.spread(config.test_samples or max(2048, epoch_samples // 5))

        torch.manual_seed(config.seed)
        self.model: BaseAutoencoder = create_autoencoder(config.autoencoder, config.params).to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.units = math.prod(self.model.encoding_shape)
        self.objective = Objective(config.loss, self.model, loss_context(config.loss, dataset), device)
        self.forward = compiled(self.model, device) if config.compile else self.model
        self.optimizer = Optimizer(
            [*self.model.parameters(), *self.objective.parameters()],
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.stream = dataset.record() if isinstance(dataset, FrameStream) else None
        self.history: list[EpochReport] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch, self.samples, self.seconds = -1, 0, 0.0

        self.checkpoint: Checkpoint | None = None
        self.identity = {
            "config": {k: v for k, v in config.to_dict().items() if k not in _BUDGETS},
            "dataset_hash": getattr(dataset, "hash", None),
        }
        self.logs: Logs | None = None
        self.lock: FolderLock | None = None
        if out is not None:
            prepare_folder(out)
            self.lock = FolderLock(out) if self.group.rank == 0 else None
            self.checkpoint = Checkpoint(out)
            if resume:
                self._resume(self.checkpoint)
            else:
                self.checkpoint.discard()
            self.logs = Logs(out, len(self.history)) if self.group.rank == 0 else None

    def _resume(self, checkpoint: Checkpoint) -> None:
        loaded = checkpoint.load()
        if loaded is None:
            return
        state, last, self.best = loaded
        if state["identity"] != self.identity:
            here, there = _flat(self.identity), _flat(state["identity"])
            key = next(k for k in {**here, **there} if here.get(k) != there.get(k))
            raise ConfigError(
                f"{checkpoint.folder} holds another training ({key}: {there.get(key)!r} there, {here.get(key)!r} "
                "here); choose another folder or start anew with resume=False"
            )
        self.model.load_state_dict(_part(last, "model."))
        self.objective.load_state_dict(_part(last, "objective."))
        self.optimizer.restore(_part(last, "optimizer."))
        self.history = [EpochReport.from_dict(report) for report in state["history"]]
        self.best_epoch, self.samples, self.seconds = state["best_epoch"], state["samples"], state["seconds"]

    def go(
        self, callback: Callable[[EpochReport], bool | None] | None, progress: Callable[[Progress], None] | None
    ) -> TrainResult:
        """Epochs until a budget is spent, patience ends or the callback says so."""
        stopped, warned = self._out_of_patience(), False
        try:
            while not stopped and not self._spent():
                report = self._epoch(progress)
                self.history.append(report)
                self._commit()
                if report.collapsed and not warned and self.samples >= 0.2 * self.planned:
                    warned = True
                    warnings.warn(
                        f"{self.config.autoencoder}: only {report.active_units} of {report.units} dimensions of "
                        "the encoding vary; lower loss.beta, raise loss.free_bits or lower learning_rate",
                        stacklevel=3,
                    )
                stopped = bool(callback and callback(report)) or self._out_of_patience()
        finally:
            self.close()
        self.model.load_state_dict(self.best)
        self.model.eval()
        return TrainResult(
            model=self.model,
            config=self.config,
            history=self.history,
            best_epoch=self.best_epoch,
            test_loss=self.history[self.best_epoch].test_loss,
            samples=self.samples,
            seconds=self.seconds,
            stopped_early=stopped and not self._spent(),
            stream=self.stream,
        )

    def close(self) -> None:
        """End what runs in the background; all that is finished is on disk."""
        self.feed.close()
        if self.logs is not None:
            self.logs.close()
        if self.lock is not None:
            self.lock.release()

    def _spent(self) -> bool:
        limit = self.config.max_seconds
        return bool(self.history) and (self.samples >= self.planned or (limit is not None and self.seconds >= limit))

    def _out_of_patience(self) -> bool:
        return bool(self.history) and self.history[-1].epoch - self.best_epoch >= self.config.patience

    def _done(self, seconds: float) -> float:
        """The fraction of the planned training that is done."""
        by_time = seconds / self.config.max_seconds if self.config.max_seconds else 0.0
        return min(1.0, max(self.samples / self.planned, by_time))

    def _epoch(self, progress: Callable[[Progress], None] | None) -> EpochReport:
        config, epoch, start = self.config, len(self.history), time.monotonic()
        # The noise of an epoch depends on its number alone: no generator's position needs keeping.
        place = [config.seed, epoch, self.group.rank] if self.group.rank else [config.seed, epoch]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        steps = min(self.epoch_steps, max(1, math.ceil((self.planned - self.samples) / self.batch_size)))
        before, loss_sum, told = self.samples, torch.zeros((), device=self.device), start
        self.model.train()
        for step, batch in enumerate(self.feed.batches(self.samples, steps, self.batch_size)):
            elapsed = self.seconds + time.monotonic() - start
            if config.max_seconds is not None:
                (elapsed,) = self.group.agree([elapsed])
            if step > 0 and config.max_seconds is not None and elapsed >= config.max_seconds:
                break
            loss = self._step(batch, self._done(elapsed))
            self.samples += self.batch_size
            loss_sum += loss
            if self.device.type == "cpu" or step % 50 == 0:
                self._check(loss)
            now = time.monotonic()
            if progress is not None and now - told >= _PROGRESS_EVERY:
                told = now
                progress(self._progress(epoch, float(loss), now - start, self.samples - before))
        train_loss = loss_sum.item() * self.batch_size / (self.samples - before)
        training_seconds = time.monotonic() - start
        self.group.average(moving_statistics(self.model))
        result = test(
            self.model, self.test_split, self.test_places, self.objective, device=self.device, dtype=self.dtype
        )
        seconds = self.seconds + time.monotonic() - start
        # Every process tests alike, but for the last digits of the moving statistics.
        figures = [seconds, result.loss, result.active_units, *result.terms.values()]
        self.seconds, test_loss, active, *terms = self.group.agree(figures)
        result = TestResult(test_loss, dict(zip(result.terms, terms, strict=True)), int(active))
        self._check(torch.tensor(result.loss))
        best = not self.history or result.loss < self.history[self.best_epoch].test_loss
        if best:
            self.best, self.best_epoch = model_tensors(self.model), epoch
        return self._report(epoch, train_loss, result, (self.samples - before) / training_seconds, best)

    def _step(self, batch: Batch, done: float) -> Tensor:
        if self.config.schedule == "cosine":
            rate = self.config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))
            self.optimizer.set_learning_rate(rate)
        part = self.group.part(len(batch.frames)) if self.group.size > 1 else None
        maps = None if batch.maps is None else batch.maps.to(self.device, non_blocking=True)
        batch = Batch(batch.frames.to(self.device, non_blocking=True), maps)
        frames = to_input(batch.frames if part is None else batch.frames[part], self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            output = self.forward(frames)
            losses = self.objective(self.model, frames, output, batch, progress=done, part=part)
        self.optimizer.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        loss = losses.total.detach()
        self.group.average([*self.optimizer.gradients(), loss])
        self.optimizer.step()
        return loss

    def _check(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise ConfigError(
                f"the loss of {self.config.autoencoder} became {float(loss)} after {self.samples:,} samples at "
                f"learning_rate {self.config.learning_rate:g}; lower learning_rate or set precision to float32"
            )

    def _progress(self, epoch: int, loss: float, seconds: float, samples: int) -> Progress:
        rate, total = samples / seconds, self.seconds + seconds
        left = (self.planned - self.samples) / rate
        if self.config.max_seconds is not None:
            left = min(left, max(0.0, self.config.max_seconds - total))
        return Progress(epoch, self.samples, self.planned, loss, rate, total, left)

    def _report(self, epoch: int, train_loss: float, result: TestResult, rate: float, best: bool) -> EpochReport:
        return EpochReport(
            epoch=epoch,
            train_loss=train_loss,
            test_loss=result.loss,
            terms=result.terms,
            active_units=result.active_units,
            units=self.units,
            samples=self.samples,
            samples_per_second=rate,
            seconds=self.seconds,
            best=best,
        )

    def _commit(self) -> None:
        if self.checkpoint is None or self.logs is None:
            return
        last = {f"model.{k}": v.cpu().contiguous() for k, v in self.model.state_dict().items()}
        last |= {f"objective.{k}": v.cpu().contiguous() for k, v in self.objective.state_dict().items()}
        last |= {f"optimizer.{k}": v for k, v in self.optimizer.tensors().items()}
        state = {
            "epoch": self.history[-1].epoch,
            "best_epoch": self.best_epoch,
            "samples": self.samples,
            "seconds": self.seconds,
            "identity": self.identity,
            "history": [report.to_dict() for report in self.history],
        }
        self.checkpoint.save(state, last=last, best=self.best, best_epoch=self.best_epoch)
        self.logs.write(self.history)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
