"""Paths that users give, and where this package keeps their things. Light: registering ids needs it at import."""

from __future__ import annotations

import os
from pathlib import Path

from heist_encoders.errors import ConfigError


def home() -> Path:
    """The user's folder: ``$HEIST_ENCODERS_HOME``, else ``~/.heist_encoders``. It need not exist."""
    return Path(os.environ.get("HEIST_ENCODERS_HOME") or "~/.heist_encoders").expanduser()


def is_uri(place: object) -> bool:
    """Whether ``place`` is a URI, and no path on this machine and no name."""
    return isinstance(place, str) and "://" in place


def user_path(path: str | Path) -> Path:
    """A path as a user gives it, ``~`` expanded.

    Raises:
        ConfigError: if it is empty, or begins with the ``~name`` of nobody on this machine.
    """
    if not str(path):
        raise ConfigError("the path is empty; expected a file or folder ('.' for the working directory)")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        name = Path(path).parts[0]
        raise ConfigError(f"{path}: no home folder is known for {name!r}; write the path in full") from None


def user_folders() -> dict[str, Path]:
    """Name -> folder of each of the user's artifacts, unopened. Empty if there are none or they cannot be read."""
    try:
        folders = [path for path in (home() / "artifacts").iterdir() if path.is_dir()]
    except OSError:
        return {}
    return {path.name: path for path in sorted(folders) if not path.name.startswith(".")}
