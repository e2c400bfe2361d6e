"""Files that appear whole or not at all, disks that are full, folders that are taken or read-only."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import heist_encoders.files
import heist_encoders.zoo.files
from heist_encoders.cli.main import user_error
from heist_encoders.errors import ConfigError, ResourceError
from heist_encoders.evaluation.files import write_text
from heist_encoders.evaluation.video import write_video
from heist_encoders.files import FolderLock, is_full_disk, prepare_folder, write_atomically
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


def test_a_folder_takes_one_run_at_a_time(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(ConfigError, match="another run is writing there"):
        FolderLock(tmp_path)
    FolderLock(tmp_path).release()


def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    # Not even root may make folders in /proc; what root may not write to otherwise is told by os.access alone.
    for out, told in ((tmp_path / "file", "a file is in the way"), (Path("/proc/run"), "choose a folder you may")):
        with pytest.raises(ConfigError, match=rf"^out = {out}: [^\n]*{told}"):
            prepare_folder(out)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match=r"permission denied; choose a folder you may write to$"):
        prepare_folder(tmp_path)
