"""Hugging Face's hub, by its own client: ``hf://user/name[@revision][/folder]``. Nothing else goes to the network.

The client follows its own environment variables: ``HF_ENDPOINT`` (another hub), ``HF_HOME`` (its cache),
``HF_HUB_OFFLINE`` (the cache alone), ``HF_TOKEN`` (private repositories).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple
from urllib.parse import unquote

from heist_encoders.errors import ArtifactError, ConfigError, HeistEncodersError, MissingDependencyError
from heist_encoders.files import is_full_disk, no_room

SCHEME: Final = "hf://"
LARGEST_CONFIG: Final = 2**24
"""Bytes of a ``config.json`` that is read: a thousand times those of a packaged one."""

_LIBRARY = "heist-encoders"
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_URI = re.compile(
    rf"{SCHEME}(?P<repository>{_PART}/{_PART})(@(?P<revision>refs/(pr|convert)/[^/@\s]+|[^/@\s]+))?(/(?P<folder>{_PART}(/{_PART})*))?/?"
)


class Place(NamedTuple):
    """What an ``hf://`` URI names: a folder (empty: the root) of a repository at a revision (None: its main one)."""

    repository: str
    revision: str | None
    folder: str

    @classmethod
    def parse(cls, uri: str) -> Place:
        """Raises ConfigError for anything else than ``hf://user/name[@revision][/folder]``."""
        found = _URI.fullmatch(uri)
        if not found:
            raise ConfigError(
                f"{uri!r} is no address on the hub; expected hf://user/name, hf://user/name@revision or "
                "hf://user/name/folder"
            )
        revision = found["revision"]
        return cls(found["repository"], revision and unquote(revision), found["folder"] or "")


def check_repository(name: str) -> str:
    """``user/name`` of a repository, given with or without ``hf://``. Raises ConfigError for another text."""
    plain = name.removeprefix(SCHEME) if isinstance(name, str) else ""
    if not _REPOSITORY.fullmatch(plain):
        raise ConfigError(f"{name!r} is no name of a repository on the hub; expected 'user/name'")
    return plain


def reader(uri: str) -> Callable[[str], bytes]:
    """A function that downloads a file of the folder at ``uri``, or finds it in the client's cache: name -> content.

    All files come from one commit, that of the first. Only files that are asked for are downloaded or listed.

    Raises:
        ConfigError: if ``uri`` is malformed. MissingDependencyError: without ``huggingface_hub``.
        ArtifactError: (the function) in one line, if there is no such repository, revision or file, it is private, or
            the hub can't be reached.
    """
    place = Place.parse(uri)
    client = _client()
    revision = place.revision

    def read(name: str) -> bytes:
        nonlocal revision
        inside = f"{place.folder}/{name}".lstrip("/")
        try:
            file = Path(client.hf_hub_download(place.repository, inside, revision=revision, library_name=_LIBRARY))
            if name.endswith(".json") and file.stat().st_size > LARGEST_CONFIG:
                raise ArtifactError(f"{uri}: {name} has {file.stat().st_size:,} bytes, which is no artifact's")
            content = file.read_bytes()
        except HeistEncodersError:
            raise
        except Exception as error:
            raise _explained(error, place, inside) from None
        revision = file.parents[inside.count("/")].name  # .../snapshots/<commit>/<inside>
        return content

    return read


def upload(folder: Path, repository: str, *, private: bool = False, message: str) -> str:
    """Put the files of ``folder`` into a repository, all in one commit. What else lies there stays.

    Args:
        folder: all files in it are uploaded.
        repository: ``user/name``; made if there is none.
        private: make a new repository private; one that exists stays as it is.
        message: of the commit.

    Returns:
        ``hf://user/name@<commit>``.

    Raises:
        ConfigError, MissingDependencyError, ArtifactError: as ``reader``.
    """
    repository = check_repository(repository)
    client = _client()
    api = client.HfApi(library_name=_LIBRARY)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    additions = [client.CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files]
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        commit = api.create_commit(repository, additions, commit_message=message)
    except Exception as error:
        raise _explained(error, Place(repository, None, ""), "") from None
    return f"{SCHEME}{repository}@{commit.oid}"


def _client(module: str = "") -> ModuleType:
    """The hub's client, or a module of it."""
    try:
        return importlib.import_module(f"huggingface_hub.{module}".rstrip("."))
    except ImportError:
        raise MissingDependencyError(
            "hf:// names need the hub's client, which is not installed; pip install 'heist-encoders[hub]'"
        ) from None


def _explained(error: Exception, place: Place, file: str) -> HeistEncodersError:
    """The one line for what the hub's client raised."""
    constants, utils = _client("constants"), _client("utils")
    at = f"{SCHEME}{place.repository}" + (f"@{place.revision}" if place.revision else "")
    if is_full_disk(error):
        return no_room(Path(constants.HF_HUB_CACHE))
    status = getattr(getattr(error, "response", None), "status_code", None)
    log_in = "log in with 'hf auth login' or set HF_TOKEN"
    if isinstance(error, utils.OfflineModeIsEnabled) or (
        isinstance(error, utils.LocalEntryNotFoundError) and constants.HF_HUB_OFFLINE
    ):
        return ArtifactError(
            f"{at} is not in the cache of the hub's client ({constants.HF_HUB_CACHE}), and HF_HUB_OFFLINE is set; "
            "load it once with the network, or unset HF_HUB_OFFLINE"
        )
    gated = isinstance(error, utils.GatedRepoError)  # a kind of RepositoryNotFoundError
    missing = isinstance(error, utils.RepositoryNotFoundError) and not gated
    if gated or (status in (401, 403) and not missing):
        return ArtifactError(f"the hub refuses access to {at}; {log_in} as somebody who may use it")
    if isinstance(error, utils.RevisionNotFoundError):
        return ArtifactError(f"{SCHEME}{place.repository} has no revision {place.revision!r}; choose another")
    if missing:
        return ArtifactError(f"there is no {at} at {constants.ENDPOINT}, or it is private; check the name, or {log_in}")
    if isinstance(error, utils.EntryNotFoundError) and not isinstance(error, utils.LocalEntryNotFoundError):
        return ArtifactError(f"{at} has no {file}; expected an artifact that push_to_hub wrote")
    if isinstance(error, utils.HFValidationError):
        return ConfigError(f"{at}: {_line(error)}")
    if status is not None:
        return ArtifactError(f"{constants.ENDPOINT} answered {status} for {at}: {_line(error)}; try again later")
    reason = error.__cause__ if isinstance(error, utils.LocalEntryNotFoundError) and error.__cause__ else error
    return ArtifactError(
        f"no answer from {constants.ENDPOINT} for {at}: {_line(reason)}; check the network and HF_ENDPOINT"
    )


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
