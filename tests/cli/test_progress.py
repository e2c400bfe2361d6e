"""Progress without a terminal, and the remaining time."""

from __future__ import annotations

import pytest

from heist_encoders.cli import progress
from heist_encoders.cli.progress import Reporter, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (1234, "21 min"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_say_which_stage_how_far_and_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with Reporter(["first", "second"], [10.0, 90.0]) as reporter:
        reporter.start(0, skipped=True)
        reporter.start(1)
        reporter.count(1, 4, "one of four")
        reporter.say("done")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[1/2] first: done before"
    assert lines[1].startswith("[2/2] second, about 1 min 30 s left")
    assert lines[2].startswith("[2/2] second: 25%, one of four, about ")
    assert lines[-1] == "done"


def test_silence_never_lasts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.5)
    with Reporter(["only"]) as reporter:
        reporter.start(0)
        time.sleep(2.5)
    assert capsys.readouterr().err.startswith("only")


def test_remaining_time_counts_later_stages() -> None:
    reporter = Reporter(["first", "second"], [10.0, 90.0])
    reporter.start(0)
    remaining = reporter.remaining()
    assert remaining is not None
    assert 95 < remaining <= 100
    assert Reporter(["unknown"]).remaining() is None
