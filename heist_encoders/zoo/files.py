"""Folders that appear whole or not at all: written beside their place, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from heist_encoders.errors import ArtifactError
from heist_encoders.files import full_disk_told, sync


@contextlib.contextmanager
def whole_folder(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Give a temporary sibling of ``folder`` to fill; at the end it takes the place of ``folder``.

    If the body raises, the sibling is deleted and ``folder`` is as it was.

    Args:
        folder: where the result shall lie; its parents are made.
        replace: whether an existing folder may be replaced.

    Raises:
        ArtifactError: if the place is taken or cannot be written.
        ResourceError: if the disk is full.
    """
    folder = Path(os.path.abspath(folder))
    if folder.is_file() or folder.is_symlink():
        raise ArtifactError(f"{folder} is a file or link, expected a folder to write; choose another name")
    if not replace and folder.exists():
        raise ArtifactError(f"{folder} already exists; choose another name or say that it may be overwritten")
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error.strerror}; choose a folder that is writable") from None
    try:
        with full_disk_told(folder):
            yield temporary
            for path in temporary.iterdir():
                sync(path)
            sync(temporary)
            _take_place(temporary, folder)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _take_place(temporary: Path, folder: Path) -> None:
    if _exchange(temporary, folder):  # what was there is deleted under the temporary name
        sync(folder.parent)
        return
    old = temporary.with_name(temporary.name + ".old")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, so that a kill finds the old or the new one; False where that can't be done.

    It can on Linux (``renameat2``, glibc 2.28 and later) on most file systems, if both are there.
    """
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):
        return False
    return bool(renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)
