"""Progress on stderr: a live display on a terminal, else a plain line whenever 8 seconds have passed without one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from typing_extensions import Self

from heist_encoders.cli import interrupts

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

QUIET_SECONDS = 8.0
"""Without a terminal, the longest silence between two lines (plus a second of the watching thread)."""


def duration(seconds: float) -> str:
    """A duration for people: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Reporter:
    """Shows which of several stages runs, how far it is and how long the whole will take.

    Args:
        titles: a title for each stage.
        expected: the seconds each stage is expected to take (for the remaining time), or None where that is unknown.

    A context manager: leaving it stops the display.
    """

    def __init__(self, titles: Sequence[str], expected: Sequence[float | None] | None = None) -> None:
        self.titles = list(titles)
        self.expected = list(expected) if expected is not None else [None] * len(self.titles)
        self._lock = threading.Lock()
        self._stage = 0
        self._fraction = 0.0
        self._detail = ""
        self._started = time.monotonic()
        self._last_line = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._live = _live_display()
            self._task = self._live.add_task("", total=1.0, detail="")
            self._live.start()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        if self._live is not None:
            self._live.stop()

    def start(self, stage: int, *, skipped: bool = False) -> None:
        """Stage ``stage`` (0 ...) begins; ``skipped``: its result is there already."""
        interrupts.check()
        with self._lock:
            self._stage, self._fraction, self._detail = stage, 1.0 if skipped else 0.0, ""
            self._started = time.monotonic()
        if skipped:
            self.say(f"{self._head()}: done before")
        elif self._live is None and len(self.titles) > 1:
            self._print_line()
        else:  # a single stage keeps quiet for a second: most mistakes show by then, and end in one line
            self._last_line = time.monotonic() - QUIET_SECONDS + 1.0
        self._refresh()

    def count(self, done: float, total: float, detail: str = "") -> None:
        """``done`` of ``total`` of the current stage, in any unit; ``detail`` in a few words."""
        interrupts.check()
        with self._lock:
            self._fraction = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
            self._detail = detail
        self._refresh()
        self._print_if_due()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        if self._live is not None:
            self._live.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            self._write(line)

    def remaining(self) -> float | None:
        """Expected seconds until the last stage ends; None while nothing is known."""
        elapsed = time.monotonic() - self._started
        now = self.expected[self._stage]
        planned = None if now is None else max(now - elapsed, 1.0)
        if self._fraction >= 0.02:
            rest = elapsed * (1 - self._fraction) / self._fraction
            if planned is not None:  # early rates mislead, for start-up is in them: trust them as they grow
                rest = self._fraction * rest + (1 - self._fraction) * planned
        elif planned is not None:
            rest = planned
        else:
            return None
        return rest + sum(seconds or 0.0 for seconds in self.expected[self._stage + 1 :])

    def _head(self) -> str:
        count = len(self.titles)
        place = f"[{self._stage + 1}/{count}] " if count > 1 else ""
        return place + self.titles[self._stage]

    def _text(self) -> str:
        elapsed = time.monotonic() - self._started
        parts = [f"{self._head()}: {self._fraction:.0%}" if self._fraction else self._head()]
        if self._detail:
            parts.append(self._detail)
        if elapsed >= 1:
            parts.append(duration(elapsed))
        left = self.remaining()
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)

    def _write(self, line: str) -> None:
        self._last_line = time.monotonic()
        print(line, file=sys.stderr, flush=True)

    def _print_line(self) -> None:
        with self._lock:
            text = self._text()
        self._write(text)

    def _print_if_due(self) -> None:
        if self._live is None and time.monotonic() - self._last_line >= QUIET_SECONDS:
            self._print_line()

    def _refresh(self) -> None:
        if self._live is not None and self._task is not None:
            with self._lock:
                left = self.remaining()
                detail = ", ".join(
                    part for part in (self._detail, f"about {duration(left)} left" if left else "") if part
                )
                self._live.update(self._task, description=self._head(), completed=self._fraction, detail=detail)

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._refresh()
            self._print_if_due()


def _live_display() -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
    )
