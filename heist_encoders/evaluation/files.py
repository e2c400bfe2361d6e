"""Files of evaluations and reports: whole or absent, in folders that are made."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heist_encoders.errors import ArtifactError, ConfigError, one_line
from heist_encoders.files import whole_file

_MOST_BYTES = 512_000_000


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


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file that an evaluation wrote.

    Raises:
        ArtifactError: if it is damaged, or would take more than 512 MB of memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"it holds {size:,} bytes, expected at most {_MOST_BYTES:,}")
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as error:  # numpy and zipfile raise a dozen kinds on damaged files
        raise ArtifactError(f"{path} is damaged ({one_line(error)}); run heist-encoders evaluate again") from None
