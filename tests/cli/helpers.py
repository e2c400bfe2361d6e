"""Run the command line in this process (fast) or in one of its own (for signals and imports)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from heist_encoders.cli.main import main

COMMANDS = (
    "run", "generate", "verify", "repair", "export", "train", "tune", "evaluate", "report", "promote", "push",
    "list",
    "ppo train", "ppo evaluate", "ppo export", "clone", "self-imitate", "record", "play", "bench", "doctor",
)  # fmt: skip


class Outcome(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """stdout as the one JSON object that it must be."""
        data = json.loads(self.out)
        assert isinstance(data, dict)
        return data

    @property
    def error(self) -> str:
        """The one line of an error of the user's; asserts that there is nothing else and that the status is 2."""
        assert self.status == 2, self
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        assert "Traceback" not in self.err
        return lines[0]


class Cli:
    """Calls ``main`` with captured streams."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *arguments: object) -> Outcome:
        """Run a command; status 0 is not required."""
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = self.capfd.readouterr()
        return Outcome(int(stop.value.code or 0), out, err)

    def ok(self, *arguments: object) -> Outcome:
        """Run a command that must succeed."""
        outcome = self(*arguments)
        assert outcome.status == 0, outcome.err
        return outcome


def start(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "heist_encoders.cli.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(env or {})},
    )


def finish(process: subprocess.Popen[str], timeout: float = 240) -> Outcome:
    """Wait for a process."""
    out, err = process.communicate(timeout=timeout)
    return Outcome(process.returncode, out, err)
