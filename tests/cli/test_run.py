"""The whole chain in a small size: interrupted, killed, finished, run again."""

from __future__ import annotations

import html
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import finish, start

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

OPTIONS = (
    "--size", 512, "--architectures", "conv_maxpool", "--seconds-per-architecture", 2, "--train-frames", 256,
    "--policy-frames", 50_000, "--ppo-steps", 2048, "--evaluation-levels", 6, "--json",
)  # fmt: skip


def _stop_at(process: subprocess.Popen[str], text: str, number: signal.Signals) -> list[str]:
    """Send a signal when a line of stderr starts with ``text``; the lines until then."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(text):
            process.send_signal(number)
            return lines
    raise AssertionError("".join(lines))


def _state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return state["stages"]


def test_run_goes_on_after_interruptions_and_reuses_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "small"

    process = start("run", "--out", out, *OPTIONS)
    _stop_at(process, "[2/7]", signal.SIGINT)
    interrupted = finish(process)
    assert interrupted.status == 130, interrupted.err
    assert interrupted.out == ""
    assert "interrupted; run the same command again" in interrupted.err
    assert "Traceback" not in interrupted.err
    assert list(_state(out)) == ["data"]

    process = start("run", "--out", out, *OPTIONS)
    seen = _stop_at(process, "[5/7]", signal.SIGKILL)
    process.wait(timeout=60)
    process.communicate()
    assert any(line.startswith("[1/7]") and "done before" in line for line in seen)
    assert list(_state(out)) == ["data", "sweep:conv_maxpool", "evaluate:conv_maxpool", "train"]
    winner = _state(out)["sweep:conv_maxpool"]["result"]

    done = finish(start("run", "--out", out, *OPTIONS))
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert result["reused"] == 4
    assert result["best"] == winner["name"] == "conv_maxpool-small"
    assert result["stages"]["ppo"]["env_steps"] >= 2048
    assert "policy by reward alone; 50,176 frames played; encoder trained" in result["stages"]["policy"]["class"]
    assert result["encoder"] == "conv_maxpool-small-long"
    assert result["stages"]["policy"]["levels"] == result["stages"]["ppo"]["levels"] == 6
    page = html.unescape((out / "report.html").read_text())
    assert "conv_maxpool-small" in page
    assert "policy by reward alone; 50,176 frames played" in page
    assert (out / "evaluation" / "conv_maxpool-small" / "metrics.json").is_file()

    again = finish(start("run", "--out", out, *OPTIONS))
    assert again.status == 0, again.err
    assert json.loads(again.out)["reused"] == 7
    assert json.loads(again.out)["stages"] == result["stages"]

    other = finish(start("run", "--out", out, "--size", 513))
    assert "size 512, but 513 was given" in other.error
