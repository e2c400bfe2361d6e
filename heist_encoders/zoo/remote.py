"""Artifacts by URI: copied once into a cache that is addressed by content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from heist_encoders.errors import ArtifactError, HeistEncodersError
from heist_encoders.zoo.artifact import CONFIG, verify
from heist_encoders.zoo.files import whole_folder


def fetch(uri: str, cache: Path) -> Path:
    """Copy the artifact at ``uri`` to ``cache`` unless the same content lies there whole; return its local folder.

    Args:
        uri: an artifact's folder, as any URI that ``pyarrow.fs.FileSystem.from_uri`` opens.
        cache: folder of the copies; each is named by the SHA-256 of its ``config.json``, which lists the SHA-256 of
            the other files.

    Raises:
        ArtifactError: if the URI cannot be opened or holds no whole artifact.
    """
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        filesystem, root = FileSystem.from_uri(uri)
    except (ArrowException, OSError, ValueError) as error:
        raise ArtifactError(f"cannot open {uri}: {_line(error)}; expected a URI such as file:///folder") from None
    config = _read(filesystem, root, CONFIG, uri)
    folder = cache / hashlib.sha256(config).hexdigest()
    try:
        verify(folder)
        return folder
    except HeistEncodersError:
        pass
    try:
        names = [str(name) for name in json.loads(config)["files"]]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(f"{uri}/{CONFIG} is no artifact's; expected a folder that save_artifact wrote") from None
    if any(Path(name).name != name for name in names):
        raise ArtifactError(f"{uri}/{CONFIG} lists files outside its folder: {names}")
    with whole_folder(folder, replace=True) as temporary:
        (temporary / CONFIG).write_bytes(config)
        for name in names:
            (temporary / name).write_bytes(_read(filesystem, root, name, uri))
        verify(temporary)
    return folder


def _read(filesystem: Any, root: str, name: str, uri: str) -> bytes:
    try:
        with filesystem.open_input_stream(f"{root.rstrip('/')}/{name}") as stream:
            return bytes(stream.read())
    except OSError as error:
        raise ArtifactError(f"cannot read {name} at {uri}: {_line(error)}; expected an artifact there") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
