"""A folder on the local disk or behind a URI that pyarrow's filesystems open; files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path

from pyarrow import fs

from heist_encoders.errors import DatasetError
from heist_encoders.files import sync
from heist_encoders.paths import user_path

_TEMPORARY = ".writing-"


class Storage:
    """One folder.

    Args:
        location: a local path, or a URI such as ``file:///data/heist`` or ``s3://bucket/heist``.

    Attributes:
        uri: the location, as it was given.
        location: the same for people: without what stands before the ``@`` of a URI.
        path: the folder on the local disk, None if it is not there.

    Raises:
        DatasetError: if the URI names no filesystem that pyarrow knows.
    """

    def __init__(self, location: str | Path) -> None:
        self.uri = str(location)
        self.location = re.sub(r"://[^/@]*@", "://", self.uri)
        if "://" in self.uri:
            try:
                self._fs, self._base = fs.FileSystem.from_uri(self.uri)
            except (ValueError, OSError, ImportError) as error:
                reason = " ".join(str(error).split())
                raise DatasetError(
                    f"cannot open {self.location} ({reason}); expected a path or a URI that pyarrow.fs opens"
                ) from None
            self.path: Path | None = Path(self._base) if isinstance(self._fs, fs.LocalFileSystem) else None
        else:
            self.path = user_path(location).absolute()
            self._fs, self._base = fs.LocalFileSystem(), str(self.path)

    def _at(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}"

    def create(self) -> None:
        """Make the folder and its parents.

        Raises:
            DatasetError: if that cannot be done: a file is in the way, or the place is not writable.
        """
        if self._info(self._base).type == fs.FileType.File:
            raise DatasetError(f"{self.location} is a file; expected a folder, give another --out")
        try:
            self._fs.create_dir(self._base, recursive=True)
            if self.path is not None and not os.access(self.path, os.W_OK):
                raise PermissionError("no permission to write there")
        except OSError as error:
            raise DatasetError(f"cannot write to {self.location} ({_reason(error)}); give another --out") from None

    def names(self) -> list[str]:
        """Names of the files in the folder, sorted; empty if there is no folder."""
        if self._info(self._base).type != fs.FileType.Directory:
            return []
        selector = fs.FileSelector(self._base)
        return sorted(info.base_name for info in self._fs.get_file_info(selector) if info.type == fs.FileType.File)

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises FileNotFoundError or another OSError."""
        with self._fs.open_input_stream(self._at(name), compression=None) as file:
            data: bytes = file.read()
        return data

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Write a file under a temporary name, flush it, rename it, flush the folder.

        Raises:
            DatasetError: if the disk is full or the folder is gone; nothing half-written is left.
        """
        temporary = self._at(f"{_TEMPORARY}{uuid.uuid4().hex[:12]}-{name}")
        try:
            if self.path is None:
                with self._fs.open_output_stream(temporary, compression=None) as file:
                    file.write(data)
            else:
                with open(temporary, "wb") as local:
                    local.write(data)
                    local.flush()
                    os.fsync(local.fileno())
            self._fs.move(temporary, self._at(name))
            if self.path is not None:
                sync(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._remove(temporary)
            raise DatasetError(
                f"cannot write {name} to {self.location} ({_reason(error)}); make room there and run the same command "
                "again"
            ) from None

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        self._remove(self._at(name))

    def remove_temporaries(self) -> None:
        """Delete what a killed writer left behind."""
        for name in self.names():
            if name.startswith(_TEMPORARY):
                self.remove(name)

    def _info(self, at: str) -> fs.FileInfo:
        try:
            return self._fs.get_file_info(at)
        except OSError as error:
            raise DatasetError(
                f"cannot reach {self.location} ({_reason(error)}); check the address, the network and the credentials"
            ) from None

    def _remove(self, at: str) -> None:
        if self._fs.get_file_info(at).type == fs.FileType.File:
            with contextlib.suppress(FileNotFoundError):
                self._fs.delete_file(at)


def _reason(error: OSError) -> str:
    return " ".join((error.strerror or str(error)).split())[:200]
