"""Where this package keeps the user's things."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The user's folder: ``$HEIST_ENCODERS_HOME``, else ``~/.heist_encoders``. It need not exist."""
    return Path(os.environ.get("HEIST_ENCODERS_HOME") or "~/.heist_encoders").expanduser()
