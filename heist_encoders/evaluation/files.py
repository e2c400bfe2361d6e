"""Files that appear whole or not at all: written to a temporary sibling, flushed, renamed."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from heist_encoders.errors import ConfigError
from heist_encoders.files import full_disk_told


@contextlib.contextmanager
def temporary_sibling(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` (with its ending) to write; at the end it takes the place of ``path``.

    If the body raises, the temporary file is deleted and ``path`` is as it was.

    Raises:
        ConfigError: if the folder can't be written. ResourceError: if the disk is full.
    """
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with full_disk_told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except (FileExistsError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose a folder that is writable") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with temporary_sibling(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
