"""Files that appear whole or not at all, and disks that are full."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heist_encoders.files
import heist_encoders.zoo.files
from heist_encoders.cli.main import user_error
from heist_encoders.errors import ResourceError
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.video import write_video
from heist_encoders.files import is_full_disk, write_atomically
from tests.zoo.making import make_artifact


class RustError(Exception):
    """As safetensors tells it."""


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RustError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_atomically(folder / "state.json", b"{}"),
        lambda folder: write_text(folder / "report.html", "page"),
        lambda folder: write_video(folder / "film.gif", np.zeros((2, 64, 64, 3), np.uint8)),
        lambda folder: make_artifact(folder / "artifact"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    error: Exception, write: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise error

    for module in (heist_encoders.files, heist_encoders.zoo.files):
        monkeypatch.setattr(module, "sync", full)
    with pytest.raises(ResourceError, match=r"^no room left on the disk to write \S+; make room") as caught:
        write(tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", FULL)
def test_the_command_line_knows_a_full_disk(error: Exception) -> None:
    told = user_error(error)
    assert told is not None
    assert "make room" in told


def test_other_errors_are_not_a_full_disk() -> None:
    for error in (OSError(errno.EIO, "Input/output error"), OSError("odd"), ValueError("no"), KeyError("space")):
        assert not is_full_disk(error)
    assert user_error(OSError(errno.EIO, "Input/output error")) is None
