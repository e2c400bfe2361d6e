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
from heist_encoders.training.best import BestEpoch
from heist_encoders.training.budget import Budget
from heist_encoders.training.config import TrainConfig, as_config
from heist_encoders.training.data import FrameSource, Split, loss_context, make_loader
from heist_encoders.training.evaluate import TestResult, test
from heist_encoders.training.folder import RunFolder, Saved
from heist_encoders.training.group import SingleProcess
from heist_encoders.training.hardware import (
    compiled,
    denormals_as_zero,
    keep_memory,
    resolve_precision,
    torch_threads,
)
from heist_encoders.training.objective import Batch, ModelWithLoss, Objective
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
        group: SingleProcess | None = None,
    ) -> None:
        config = config.with_params_of(dataset)
        self.config, self.device = config, device
        self.group = group or SingleProcess()
        self.dtype = resolve_precision(config.precision, device)
        self.stream = dataset.record() if isinstance(dataset, FrameStream) else None

        with_maps = config.loss.needs_maps
        self.loader = make_loader(dataset, seed=config.seed, with_maps=with_maps, device=device)
        self.test_split = Split(dataset, "test", with_maps=with_maps, device=device)
        batch_size = min(config.batch_size, self.loader.largest_batch or config.batch_size)
        epoch_steps = max(1, round((config.epoch_samples or self.loader.epoch_samples) / batch_size))
        self.budget = Budget(config, epoch_steps=epoch_steps, batch_size=batch_size)
        test_samples = config.test_samples or max(2048, epoch_steps * batch_size // 5)
        self.test_indices = self.test_split.spread(test_samples)

        torch.manual_seed(config.seed)
        self.model: BaseAutoencoder = create_autoencoder(config.autoencoder, config.params).to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.objective = Objective(config.loss, self.model, loss_context(config.loss, dataset), device)
        forward = compiled(self.model, device) if config.compile else self.model
        self.loss_of = self.group.prepare(ModelWithLoss(self.model, forward, self.objective))
        self.optimizer = Optimizer(
            [*self.model.parameters(), *self.objective.parameters()],
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )

        self.history: list[EpochReport] = []
        self.best = BestEpoch()
        identity = {
            "config": {k: v for k, v in config.to_dict().items() if k not in _BUDGETS},
            "dataset_hash": getattr(dataset, "hash", None),
        }
        self.folder = None if out is None else RunFolder(out, identity, writes=self.group.rank == 0)
        saved = None if self.folder is None else self.folder.begin(resume=resume)
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: Saved) -> None:
        self.model.load_state_dict(_below(saved.last, "model."))
        self.objective.load_state_dict(_below(saved.last, "objective."))
        self.optimizer.restore(_below(saved.last, "optimizer."))
        self.history, self.best = saved.history, saved.best
        self.budget.samples, self.budget.seconds = saved.samples, saved.seconds

    def go(
        self, callback: Callable[[EpochReport], bool | None] | None, progress: Callable[[Progress], None] | None
    ) -> TrainResult:
        """Epochs until the budget is spent, patience ends or the callback says so."""
        stopped, warned = self._out_of_patience(), False
        try:
            while not stopped and not self.budget.spent:
                report = self._epoch(progress)
                self.history.append(report)
                self._commit()
                if report.collapsed and not warned and self.budget.samples >= 0.2 * self.budget.planned:
                    warned = True
                    warnings.warn(
                        f"{self.config.autoencoder}: only {report.active_units} of {report.units} dimensions of "
                        "the encoding vary; lower loss.beta, raise loss.free_bits or lower learning_rate",
                        stacklevel=3,
                    )
                stopped = bool(callback and callback(report)) or self._out_of_patience()
        finally:
            self.close()
        self.model.load_state_dict(self.best.weights)
        self.model.eval()
        return TrainResult(
            model=self.model,
            config=self.config,
            history=self.history,
            best_epoch=self.best.epoch,
            test_loss=self.best.test_loss,
            samples=self.budget.samples,
            seconds=self.budget.seconds,
            stopped_early=stopped and not self.budget.spent,
            stream=self.stream,
        )

    def close(self) -> None:
        """End what runs in the background; all that is finished is on disk."""
        self.loader.close()
        if self.folder is not None:
            self.folder.close()

    def _out_of_patience(self) -> bool:
        return bool(self.history) and self.history[-1].epoch - self.best.epoch >= self.config.patience

    def _epoch(self, progress: Callable[[Progress], None] | None) -> EpochReport:
        """Train, test, and see whether it got better."""
        epoch, start = len(self.history), time.monotonic()
        train_loss, samples_per_second = self._train_epoch(epoch, progress)
        result = self._test()
        (self.budget.seconds,) = self.group.broadcast([self.budget.seconds + time.monotonic() - start])
        best = self.best.offer(epoch, result.loss, self.model)
        return EpochReport(
            epoch=epoch,
            train_loss=train_loss,
            test_loss=result.loss,
            terms=result.terms,
            active_units=result.active_units,
            units=math.prod(self.model.encoding_shape),
            samples=self.budget.samples,
            samples_per_second=samples_per_second,
            seconds=self.budget.seconds,
            best=best,
        )

    def _train_epoch(self, epoch: int, progress: Callable[[Progress], None] | None) -> tuple[float, float]:
        """The mean loss of the epoch, and its samples/s."""
        # The noise of an epoch depends on its number alone: no generator's position needs keeping.
        key = [self.config.seed, epoch, self.group.rank] if self.group.rank else [self.config.seed, epoch]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        budget, before = self.budget, self.budget.samples
        start = reported = time.monotonic()
        loss_sum = torch.zeros((), device=self.device)
        self.model.train()
        for step, batch in enumerate(self.loader.batches(budget.samples, budget.next_steps(), budget.batch_size)):
            seconds = budget.seconds + time.monotonic() - start
            if budget.max_seconds is not None:
                (seconds,) = self.group.broadcast([seconds])
                if step > 0 and budget.out_of_time(seconds):
                    break
            loss = self._step(batch, budget.done(seconds))
            budget.samples += budget.batch_size
            loss_sum += loss
            if self.device.type == "cpu" or step % 50 == 0:
                self._check(loss)
            now = time.monotonic()
            if progress is not None and now - reported >= _PROGRESS_EVERY:
                reported = now
                progress(self._progress(epoch, float(loss), now - start, budget.samples - before))
        samples = budget.samples - before
        train_loss = self.group.mean(loss_sum).item() * budget.batch_size / samples
        return train_loss, samples / (time.monotonic() - start)

    def _step(self, batch: Batch, done: float) -> Tensor:
        """One step of the optimizer; the loss of this process's shard, without a gradient."""
        if self.config.schedule == "cosine":
            rate = self.config.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))
            self.optimizer.set_learning_rate(rate)
        maps = None if batch.maps is None else batch.maps.to(self.device, non_blocking=True)
        batch = Batch(batch.frames.to(self.device, non_blocking=True), maps)
        shard = self.group.shard(len(batch.frames))
        frames = to_input(batch.frames if shard is None else batch.frames[shard], self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            loss: Tensor = self.loss_of(frames, batch, done, shard)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def _test(self) -> TestResult:
        """On the test frames; in each process what the first one found, whose moving statistics are kept."""
        result = test(
            self.model, self.test_split, self.test_indices, self.objective, device=self.device, dtype=self.dtype
        )
        loss, active, *terms = self.group.broadcast([result.loss, result.active_units, *result.terms.values()])
        self._check(torch.tensor(loss))
        return TestResult(loss, dict(zip(result.terms, terms, strict=True)), int(active))

    def _check(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise ConfigError(
                f"the loss of {self.config.autoencoder} became {float(loss)} after {self.budget.samples:,} samples at "
                f"learning_rate {self.config.learning_rate:g}; lower learning_rate or set precision to float32"
            )

    def _progress(self, epoch: int, loss: float, seconds: float, samples: int) -> Progress:
        budget, rate, total = self.budget, samples / seconds, self.budget.seconds + seconds
        left = budget.seconds_left(total, rate)
        return Progress(epoch, budget.samples, budget.planned, loss, rate, total, left)

    def _commit(self) -> None:
        if self.folder is None or self.group.rank > 0:
            return
        last = {f"model.{k}": v.cpu().contiguous() for k, v in self.model.state_dict().items()}
        last |= {f"objective.{k}": v.cpu().contiguous() for k, v in self.objective.state_dict().items()}
        last |= {f"optimizer.{k}": v for k, v in self.optimizer.tensors().items()}
        self.folder.commit(Saved(self.history, self.best, self.budget.samples, self.budget.seconds, last))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
