"""Files that appear whole or not at all. Light: the standard library alone."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heist_encoders.errors import ResourceError

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
