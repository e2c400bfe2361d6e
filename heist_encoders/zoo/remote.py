"""Artifacts from elsewhere (a URI, a cluster): copied once into a cache that is addressed by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

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
    return keep(cache, config, lambda name: _read(filesystem, root, name, uri), uri)


def keep(cache: Path, config: bytes, read: Callable[[str], bytes], where: str) -> Path:
    """Copy an artifact to ``cache`` unless the same content lies there whole; return its local folder.

    Args:
        cache: see ``fetch``.
        config: content of the artifact's ``config.json``.
        read: gives the content of another file of it.
        where: where it comes from, for errors.

    Raises:
        ArtifactError: if it is none, a hash does not agree, or the cache cannot be written.
    """
    folder = cache / hashlib.sha256(config).hexdigest()
    try:
        verify(folder)
        return folder
    except HeistEncodersError:
        pass
    try:
        hashes = {str(name): str(value) for name, value in json.loads(config)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ArtifactError(f"{where}: {CONFIG} is no artifact's; expected a folder that save_artifact wrote") from None
    if any(Path(name).name != name for name in hashes):
        raise ArtifactError(f"{where}: {CONFIG} lists files outside its folder: {list(hashes)}")
    with _one_at_a_time(cache):
        with contextlib.suppress(HeistEncodersError):
            verify(folder)  # another process of this machine was faster
            return folder
        with whole_folder(folder, replace=True) as temporary:
            (temporary / CONFIG).write_bytes(config)
            for name, expected in hashes.items():
                content = read(name)
                found = hashlib.sha256(content).hexdigest()
                if found != expected:
                    raise ArtifactError(
                        f"{where}: {name} is truncated or altered: sha256 {found[:12]}..., {CONFIG} says "
                        f"{expected[:12]}...; save the artifact there again"
                    )
                (temporary / name).write_bytes(content)
            verify(temporary)
    return folder


@contextlib.contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Keep the processes of this machine from replacing what another has just begun to read."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # whole_folder says what is wrong with the folder
            cache.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(cache / ".lock"))
        yield


def _read(filesystem: Any, root: str, name: str, uri: str) -> bytes:
    try:
        with filesystem.open_input_stream(f"{root.rstrip('/')}/{name}") as stream:
            return bytes(stream.read())
    except OSError as error:
        raise ArtifactError(f"cannot read {name} at {uri}: {_line(error)}; expected an artifact there") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
