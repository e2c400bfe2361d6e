"""What a sweep reports while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ray.tune import Callback

from heist_encoders.json_text import JsonObject
from heist_encoders.tuning.results import TRAINING

if TYPE_CHECKING:
    from ray.tune.experiment import Trial


Kind: TypeAlias = Literal["plan", "start", "result", "complete", "error", "end"]


@dataclass(frozen=True)
class SweepEvent:
    """One thing that happened in a sweep.

    Attributes:
        kind: ``plan`` (before the first trial; ``message`` says what will be occupied), ``start``, ``result``,
            ``complete`` or ``error`` of a trial, ``end``.
        finished: Trials that are done (also stopped early or failed).
        total: Trials in all.
        trial: Index of the trial in the sweep, from 0; -1 where no trial is concerned.
        epoch: How far the trial is.
        max_epochs: Where it ends at the latest.
        metrics: The trial's last figures (``miou``, ``test_loss``, ``objective``, ...), empty before the first.
        config: The searched configuration of the trial.
        best: The highest objective so far, None before the first.
        message: A line for people.
    """

    kind: Kind
    finished: int
    total: int
    trial: int = -1
    epoch: int = 0
    max_epochs: int = 0
    metrics: JsonObject = field(default_factory=dict)
    config: JsonObject = field(default_factory=dict)
    best: float | None = None
    message: str = ""


Progress = Callable[[SweepEvent], None]

_listeners: dict[str, Progress] = {}
"""Folder of a sweep -> its listener. Kept here since Tune pickles callbacks, and a progress bar can't be."""


def listen(sweep: str, progress: Progress | None) -> None:
    """Set (or with None remove) the listener of the sweep in folder ``sweep``."""
    if progress is None:
        _listeners.pop(sweep, None)
    else:
        _listeners[sweep] = progress


def trial_index(trial: Trial) -> int:
    """The number of a Tune trial in its experiment, which starts its tag."""
    number = str(trial.experiment_tag).split("_", 1)[0]
    return int(number) if number.isdigit() else 0


def trial_folder(trial: Trial) -> str:
    """Name of a trial's folder: its number and id."""
    return f"{trial_index(trial):04d}-{trial.trial_id}"


class ProgressCallback(Callback):
    """A Tune callback that turns Tune's calls into SweepEvents for the sweep's listener.

    Args:
        sweep: The sweep's folder.
        total: Trials in all.
        max_epochs: The most epochs of a trial.
    """

    def __init__(self, sweep: str, total: int, max_epochs: int) -> None:
        self.sweep = sweep
        self.total = total
        self.max_epochs = max_epochs
        self.best: float | None = None

    def _report(
        self, kind: Kind, trials: list[Trial], trial: Trial | None = None, result: JsonObject | None = None
    ) -> None:
        listener = _listeners.get(self.sweep)
        if listener is None:
            return
        result = result or {}
        finished = sum(t.status in ("TERMINATED", "ERROR") for t in trials)
        listener(
            SweepEvent(
                kind,
                finished,
                self.total,
                trial=-1 if trial is None else trial_index(trial),
                epoch=int(result.get("epoch", 0)),
                max_epochs=self.max_epochs,
                metrics={k: v for k, v in result.items() if isinstance(v, (int, float)) and not isinstance(v, bool)},
                config=dict(trial.evaluated_params) if trial is not None else {},
                best=self.best,
            )
        )

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Report that a trial begins."""
        self._report("start", trials, trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: JsonObject, **info: object
    ) -> None:
        """Report a trial's figures."""
        objective = result.get("objective")
        if objective is not None and (self.best is None or objective > self.best):
            self.best = float(objective)
        self._report("result", trials, trial, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Report that a trial is done or was stopped; it will not go on, so what training needs for that can go."""
        for leftover in Path(trial.path or "").glob(f"checkpoint_*/{TRAINING}"):
            shutil.rmtree(leftover, ignore_errors=True)
        self._report("complete", trials, trial, trial.last_result)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Report that a trial failed for good."""
        self._report("error", trials, trial, trial.last_result)
