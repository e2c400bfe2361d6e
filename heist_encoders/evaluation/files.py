"""Files of evaluations and reports: whole or absent, in folders that are made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from heist_encoders.errors import ConfigError
from heist_encoders.files import whole_file


@contextlib.contextmanager
def temporary_sibling(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` (with its ending) to write; at the end it takes the place of ``path``.

    If the body raises, the temporary file is deleted and ``path`` is as it was.

    Raises:
        ConfigError: if the folder can't be written. ResourceError: if the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            yield temporary
    except (FileExistsError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose a folder that is writable") from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with temporary_sibling(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
