"""How a long job tells where it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


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
