"""Which autoencoders there are: a decorator to add one, functions to find and build them.

The modules of this package are imported first, then the entry points of installed packages in the group
``heist_encoders.autoencoders``: see docs/autoencoders.md.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, TypeVar

from heist_encoders.autoencoders.base import BaseAutoencoder
from heist_encoders.autoencoders.built_in import BUILT_IN, env_id_for
from heist_encoders.config import Config
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.json_text import JsonObject

ENTRY_POINTS: Final = "heist_encoders.autoencoders"
"""Group of the entry points by which installed packages add autoencoders."""

_classes: dict[str, type[BaseAutoencoder]] = {}

AutoencoderClass = TypeVar("AutoencoderClass", bound=type[BaseAutoencoder])


def register_autoencoder(*, name: str, env_id: str | None = None) -> Callable[[AutoencoderClass], AutoencoderClass]:
    """Class decorator that makes an autoencoder known to the CLI, sweeps, ids and contract tests.

    Args:
        name: what it is called, letters, digits and underscores: ``vae_paper``.
        env_id: the gymnasium id of its encoders; None: ``name`` with dashes and ``-v0``, which is the id that an
            encoder promoted under this name has.

    Raises:
        ConfigError: if the name or id is taken by another class.
    """

    def register(cls: AutoencoderClass) -> AutoencoderClass:
        id = env_id or env_id_for(name)
        for other in _classes.values():
            same_class = (other.__module__, other.__qualname__) == (cls.__module__, cls.__qualname__)
            if not same_class and (other.name == name or other.env_id == id):
                raise ConfigError(
                    f"autoencoder {name!r} ({id}) is taken by {other.__module__}.{other.__qualname__}; "
                    "choose another name"
                )
        cls.name, cls.env_id = name, id
        _classes[name] = cls
        return cls

    return register


@functools.cache
def _load_all() -> None:
    """Import every module that registers an autoencoder: this package's, then those of installed packages."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        _load_entry(entry)


def _load_entry(entry: EntryPoint) -> None:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    try:
        loaded = entry.load()
    except Exception as error:  # whatever is wrong in somebody else's package must not stop the others
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _warn(f"the autoencoder {entry.name!r} of the package {package} is left out ({reason})")
        return
    if isinstance(loaded, type) and loaded not in _classes.values():
        _warn(f"{entry.value} of the package {package} is left out: it has no decorator @register_autoencoder")


def _warn(message: str) -> None:
    warnings.warn(f"{message}; repair or uninstall that package", RuntimeWarning, stacklevel=2)


def autoencoder_names() -> tuple[str, ...]:
    """Names of all registered autoencoders: the built-in ones first, then the others by name."""
    _load_all()
    others = sorted(_classes.keys() - BUILT_IN.keys())
    return (*(name for name in BUILT_IN if name in _classes), *others)


def autoencoder_class(name: str) -> type[BaseAutoencoder]:
    """The class behind a name; dashes count as underscores, and an environment id will do as well.

    Raises:
        UnknownNameError: naming the nearest known ones.
    """
    _load_all()
    plain = name.replace("-", "_").lower()
    if plain in _classes:
        return _classes[plain]
    for cls in _classes.values():
        if cls.env_id == name:
            return cls
    raise unknown_name("autoencoder", name, _classes)


def create_autoencoder(name: str, params: JsonObject | Config | None = None) -> BaseAutoencoder:
    """Build an autoencoder with random weights (torch's global generator draws them).

    Args:
        name: see ``autoencoder_class``.
        params: its sizes; what is left out has the architecture's default.

    Raises:
        UnknownNameError: if there is no such autoencoder.
        ConfigError: if a parameter is unknown, of the wrong type or out of range.

    Examples:
        >>> from heist_encoders.autoencoders import create_autoencoder
        >>> create_autoencoder("vae_paper", {"latent_size": 16}).encoding_shape
        (16,)
    """
    cls = autoencoder_class(name)
    if isinstance(params, Config):
        params = params.to_dict()
    return cls(cls.Params.from_dict(params or {}, where=f"params of {cls.name}"))
