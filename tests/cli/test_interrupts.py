"""Signals that a library swallows end a command all the same."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.cli import interrupts
from heist_encoders.cli.progress import Reporter
from tests.cli.helpers import Cli


def swallowed(number: signal.Signals) -> None:
    """A signal in a place where KeyboardInterrupt gets no farther."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.fixture(autouse=True)
def _own_handlers() -> Any:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    interrupts.install()  # forgets what came
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_progress_ends_what_went_on_after_a_signal(number: signal.Signals) -> None:
    interrupts.install()
    reporter = Reporter(["one", "two"])
    reporter.start(0)
    swallowed(number)
    with pytest.raises(KeyboardInterrupt):
        reporter.count(1, 2)
    with pytest.raises(KeyboardInterrupt):
        reporter.start(1)
    elsewhere = threading.Thread(target=reporter.count, args=(1, 2))  # raises nothing there
    elsewhere.start()
    elsewhere.join()
    assert reporter._fraction == 0.5
    interrupts.install()
    reporter.count(1, 1)


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.install()
    signal.raise_signal(signal.SIGINT)
    interrupts.check()


def test_a_command_ends_although_a_library_swallowed_the_signal(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import heist_encoders.cli.progress as progress

    start = progress.Reporter.start

    def swallow(self: Reporter, stage: int, **options: Any) -> None:
        start(self, stage, **options)
        swallowed(signal.SIGINT)

    monkeypatch.setattr(progress.Reporter, "start", swallow)
    found = cli("generate", "--out", tmp_path / "data", "--size", 5_000, "--mode", "easy")
    assert found.status == 130
    assert found.out == ""
    assert "interrupted" in found.err
