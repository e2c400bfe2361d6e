"""How a long job reports how far it is, without knowing who listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from heist_encoders.tuning.events import SweepEvent


class Progress(Protocol):
    """A listener. All methods are cheap and may be called from any thread."""

    def start(self, stage: int, *, skipped: bool = False) -> None:
        """Stage number ``stage`` (0 ...) begins; ``skipped``: its result is there already."""

    def count(self, done: float, total: float, detail: str = "") -> None:
        """``done`` of ``total`` (any unit) of the current stage; ``detail`` in a few words."""

    def say(self, line: str) -> None:
        """A line worth keeping, as the outcome of a stage."""


class Silent:
    """A Progress that nobody listens to."""

    def start(self, stage: int, *, skipped: bool = False) -> None:
        """Do nothing."""

    def count(self, done: float, total: float, detail: str = "") -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""


def sweep_listener(progress: Progress, seconds: float | None = None) -> Callable[[SweepEvent], None]:
    """A listener for ``sweep(progress=)`` that says how far the sweep is.

    Args:
        progress: is called with the share of epochs that are done, and the trials in words.
        seconds: the sweep's time budget, if it has one: the share is at least the time that has passed.
    """
    from heist_encoders.tuning.options import INFEASIBLE

    epochs: dict[int, float] = {}
    began = time.monotonic()

    def listen(event: SweepEvent) -> None:
        if event.kind == "plan":
            progress.say(event.message)
            return
        if event.trial >= 0:
            ended = event.kind in ("complete", "error")
            epochs[event.trial] = 1.0 if ended else min(0.95, event.epoch / max(1, event.max_epochs))
        done = sum(epochs.values()) / max(1, event.total)
        if seconds is not None:
            done = max(done, min(0.99, (time.monotonic() - began) / seconds))
        running = len(epochs) - event.finished
        words = f"{event.finished} of {event.total} trials done" + (f", {running} running" if running > 0 else "")
        if event.best is not None and event.best > -INFEASIBLE:
            words += f", best {event.best:.3f}"
        progress.count(done, 1.0, words)

    return listen
