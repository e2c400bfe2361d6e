"""Work that begins before its stage."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import ray

from heist_encoders.errors import ConfigError
from heist_encoders.ray_tasks import Ahead


def note(file: Path, seconds: float = 0.0) -> int:
    """Write who worked, and say it."""
    time.sleep(seconds)
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{os.getpid()}\n")
    return os.getpid()


def fail() -> None:
    raise ConfigError("no frames")


def test_without_ray_the_work_is_done_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    ahead, file = Ahead(), tmp_path / "who"
    ahead.begin("a", note, file)
    assert not file.exists()
    assert ahead.result("a", lambda: None, note, file) == os.getpid()


@pytest.mark.usefixtures("ray_local")
def test_with_ray_it_is_done_once_in_other_processes(tmp_path: Path) -> None:
    ahead, waited = Ahead(), []
    for name in "abc":
        ahead.begin(name, note, tmp_path / name, 0.0 if name == "a" else 1.5)
        ahead.begin(name, note, tmp_path / name)
    who = ahead.result("a", lambda: None, note, tmp_path / "a")
    assert who != os.getpid()
    assert (tmp_path / "a").read_text() == f"{who}\n"
    assert ahead.result("b", lambda: waited.append(ahead.done()), note, tmp_path / "b") != os.getpid()
    assert waited
    assert ahead.result("c", lambda: None, note, tmp_path / "c") != os.getpid()
    assert ahead.done() == 0
    assert ahead.result("c", lambda: None, note, tmp_path / "c") == os.getpid()  # asked for again


@pytest.mark.usefixtures("ray_local")
def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    ahead = Ahead()
    ahead.begin("a", fail)
    with pytest.raises(ConfigError, match="no frames"):
        ahead.result("a", lambda: None, fail)
