"""Files that appear whole or not at all, and folders that one run at a time writes to. Light: no large library."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from typing_extensions import Self

from heist_encoders.errors import ConfigError, ResourceError

LOCK = ".lock"
"""File in a folder by which a run holds it."""
_BLOCK = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full_disk(error: BaseException) -> bool:
    """Whether a write failed because the disk is full or a quota is used up; also as libraries in Rust and C say it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(os.strerror(number) in str(error) for number in _FULL)


def no_room(path: Path) -> ResourceError:
    """The error for a file that a full disk has no room for."""
    return ResourceError(f"no room left on the disk to write {path}; make room there and run the same again")


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """What fails in the block because the disk that ``path`` lies on is full raises ResourceError."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, ResourceError) and is_full_disk(error):
            raise no_room(path) from None
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` (with its ending) to write; at the end it takes the place of ``path``.

    A kill at any moment leaves either the old file or the new one, whole.

    Raises:
        ResourceError: if the disk is full.
    """
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with full_disk_told(path):
            yield temporary
            sync(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    sync(path.parent)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a kill at any moment leaves either the old one or the new one, whole; text as UTF-8."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def prepare_folder(out: Path) -> None:
    """Make the folder if there is none.

    Raises:
        ConfigError: if it is a file or can't be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(f"out = {out}: a file is in the way; choose a folder") from None
    except OSError as error:
        raise ConfigError(f"out = {out}: {error.strerror}; choose a folder you may write to") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise ConfigError(f"out = {out}: permission denied; choose a folder you may write to")


class FolderLock:
    """Holds a folder against other runs until ``release``, or until this process ends, however it does.

    Usable in a ``with`` statement.

    Raises:
        ConfigError: if another run holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / LOCK).open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(
                f"out = {folder}: another run is writing there; wait for its end or choose another folder"
            ) from None
        except OSError:
            pass  # a file system without locks

    def release(self) -> None:
        """Let others in."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
