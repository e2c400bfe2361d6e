"""Names: which belong to architectures, which the user may give, and the gymnasium id that follows from each. Light."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from heist_encoders.autoencoders.built_in import BUILT_IN, env_id_for
from heist_encoders.deprecation import old_names
from heist_encoders.errors import ConfigError

PIXELS_ID: Final = "heist-pixels-v0"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_VERSION = re.compile(r"-v\d+$")


def architectures() -> dict[str, str]:
    """Name of each architecture of this package -> its gymnasium id, ``{"vae_alex": "vae-alex-v0", ...}``.

    An architecture of another package has no packaged encoder: its ids are those of the artifacts that users promote.
    """
    return dict(BUILT_IN)


def key_of(name: str) -> str:
    """What spellings of one name have in common: ``vae_alex``, ``vae-alex`` and ``vae-alex-v0`` give ``vae-alex``."""
    return _VERSION.sub("", name).replace("_", "-").lower()


def architecture_of(name: str) -> str | None:
    """The architecture that ``name`` (its name or id, however spelled) stands for, or None."""
    key = key_of(name)
    for architecture, env_id in architectures().items():
        if key in (key_of(architecture), key_of(env_id)):
            return architecture
    return None


def env_id_of(name: str) -> str:
    """The gymnasium id of an encoder: the architecture's, or the user's name with dashes and ``-v0``."""
    return env_id_for(architecture_of(name) or name)


def check_name(name: str) -> None:
    """Raise ConfigError unless ``name`` may be given to an artifact of the user's."""
    if not _NAME.fullmatch(name) or _VERSION.search(name):
        raise ConfigError(
            f"name {name!r}: expected 1 to 100 letters, digits, '_', '.' or '-', starting with a letter or digit and "
            "not ending in a version such as -v0 (the gymnasium id adds it)"
        )
    if architecture_of(name) or key_of(name) == key_of(PIXELS_ID):
        raise ConfigError(
            f"name {name!r} always means a packaged environment or encoder; choose another, {name + '-mine'!r} for "
            "example"
        )


def check_label(name: str) -> str:
    """``name`` as it is, or a ConfigError unless it can be printed on one line: what an artifact says of itself.

    Artifacts come from others too; a name of theirs must not move a cursor or a file.
    """
    if not 0 < len(name) <= 200 or not name.isprintable() or "/" in name or "\\" in name or name.strip(". ") == "":
        raise ConfigError(f"name {name!r:.80}: expected 1 to 200 printable characters without slashes")
    return name


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__, {"families": "architectures", "family_of": "architecture_of"})
