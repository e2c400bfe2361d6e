"""Artifacts from elsewhere (a URI, a hub, a cluster): copied once into a cache that is addressed by content."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from heist_encoders.errors import ArtifactError, HeistEncodersError
from heist_encoders.files import sha256_of
from heist_encoders.paths import home, is_uri, user_path
from heist_encoders.zoo.files import whole_folder

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CONFIG: Final = "config.json"
"""The file of every artifact that says what it is and lists the SHA-256 of the others."""

Listing = Callable[[Path], Mapping[str, str]]
"""Reads the ``config.json`` in a folder: name -> hexadecimal SHA-256 of the other files.

Raises ArtifactError unless it is that of an artifact of the expected kind, whose files have fixed names: no content
decides what is read or written."""


def local_folder(place: str | Path, listing: Listing) -> Path:
    """The folder of an artifact on this machine: that of a URI is copied into the cache, a path is as it is."""
    return fetch(str(place), listing) if is_uri(place) else user_path(place)


def fetch(uri: str, listing: Listing) -> Path:
    """Copy the artifact at ``uri`` to the cache unless the same content lies there whole; return its local folder.

    Args:
        uri: ``hf://user/name`` (see ``zoo.hub``), or an artifact's folder as any URI that
            ``pyarrow.fs.FileSystem.from_uri`` opens.
        listing: of the kind of artifact that is expected there.

    Raises:
        ArtifactError: if the URI cannot be opened or holds no whole artifact.
        MissingDependencyError: for a hub without ``huggingface_hub``.
    """
    from heist_encoders.zoo import hub

    read = hub.reader(uri) if uri.startswith(hub.SCHEME) else _reader(uri)
    return keep(read(CONFIG), read, uri, listing)


def cache() -> Path:
    """The folder of the copies; each is named by the SHA-256 of its ``config.json``."""
    return home() / "cache"


def keep(config: bytes, read: Callable[[str], bytes], where: str, listing: Listing) -> Path:
    """Copy an artifact to the cache unless the same content lies there whole; return its local folder.

    Args:
        config: content of the artifact's ``config.json``.
        read: gives the content of another file of it.
        where: where it comes from, for errors.
        listing: of the kind of artifact that is expected there.

    Raises:
        ArtifactError: if it is none, a hash does not agree, or the cache cannot be written.
    """
    folder = cache() / hashlib.sha256(config).hexdigest()
    if _is_whole(folder, listing):
        return folder
    with _one_at_a_time(folder.parent):
        if _is_whole(folder, listing):  # another process of this machine was faster
            return folder
        with whole_folder(folder, replace=True) as temporary:
            (temporary / CONFIG).write_bytes(config)
            try:
                hashes = listing(temporary)
            except ArtifactError as error:
                raise ArtifactError(str(error).replace(str(temporary), where)) from None
            for name, expected in hashes.items():
                content = read(name)
                found = hashlib.sha256(content).hexdigest()
                if found != expected:
                    raise ArtifactError(
                        f"{where}: {name} is truncated or altered: sha256 {found[:12]}..., {CONFIG} says "
                        f"{expected[:12]}...; save the artifact there again"
                    )
                (temporary / name).write_bytes(content)
    return folder


def _is_whole(folder: Path, listing: Listing) -> bool:
    try:
        return all(sha256_of(folder / name) == expected for name, expected in listing(folder).items())
    except (HeistEncodersError, OSError):
        return False


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep the processes of this machine from replacing what another has just begun to read."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # whole_folder says what is wrong with the folder
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / ".lock"))
        yield


def _reader(uri: str) -> Callable[[str], bytes]:
    """Reads the files of a folder by pyarrow."""
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        filesystem, root = FileSystem.from_uri(uri)
    except (ArrowException, OSError, ValueError) as error:
        raise ArtifactError(f"cannot open {uri}: {_line(error)}; expected a URI such as file:///folder") from None

    def read(name: str) -> bytes:
        return _read(filesystem, root, name, uri)

    return read


def _read(filesystem: FileSystem, root: str, name: str, uri: str) -> bytes:
    try:
        with filesystem.open_input_stream(f"{root.rstrip('/')}/{name}") as stream:
            return bytes(stream.read())
    except OSError as error:
        raise ArtifactError(f"cannot read {name} at {uri}: {_line(error)}; expected an artifact there") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
