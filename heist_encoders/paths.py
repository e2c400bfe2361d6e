"""Where this package keeps the user's things: artifacts, caches. Light: registering ids needs it at import."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The user's folder: ``$HEIST_ENCODERS_HOME``, else ``~/.heist_encoders``. It need not exist."""
    return Path(os.environ.get("HEIST_ENCODERS_HOME") or "~/.heist_encoders").expanduser()


def user_folders() -> dict[str, Path]:
    """Name -> folder of each of the user's artifacts, unopened. Empty if there are none or they cannot be read."""
    try:
        folders = [path for path in (home() / "artifacts").iterdir() if path.is_dir()]
    except OSError:
        return {}
    return {path.name: path for path in sorted(folders) if not path.name.startswith(".")}
