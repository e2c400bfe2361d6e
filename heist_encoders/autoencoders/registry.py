"""Which autoencoders there are: a decorator to add one, functions to find and build them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from heist_encoders.autoencoders.base import BaseAutoencoder
from heist_encoders.config import Config
from heist_encoders.errors import ConfigError, unknown_name

_BUILT_IN = ("conv_maxpool", "conv_maxpool_big", "conv_no_bottleneck", "conv_unpool", "vae")
"""The first modules to be imported, for the order of names; every other file with the decorator follows."""

_classes: dict[str, type[BaseAutoencoder]] = {}

AutoencoderClass = TypeVar("AutoencoderClass", bound=type[BaseAutoencoder])


def register_autoencoder(*, name: str, env_id: str) -> Callable[[AutoencoderClass], AutoencoderClass]:
    """Class decorator that makes an autoencoder known to the CLI, sweeps, ids and contract tests.

    Args:
        name: what it is called, letters, digits and underscores: ``vae_paper``.
        env_id: its gymnasium id: ``vae-paper-v0``.

    Raises:
        ConfigError: if the name or id is taken by another class.
    """

    def register(cls: AutoencoderClass) -> AutoencoderClass:
        for other in _classes.values():
            same_class = (other.__module__, other.__qualname__) == (cls.__module__, cls.__qualname__)
            if not same_class and (other.name == name or other.env_id == env_id):
                raise ConfigError(
                    f"autoencoder {name!r} ({env_id}) is taken by {other.__module__}.{other.__qualname__}; "
                    "choose another name"
                )
        cls.name, cls.env_id = name, env_id
        _classes[name] = cls
        return cls

    return register


@functools.cache
def _load_built_in() -> None:
    """Import every file of this package that registers an autoencoder."""
    others = (
        path.stem
        for path in sorted(Path(__file__).parent.glob("*.py"))
        if path.stem not in _BUILT_IN and "\n@register_autoencoder(" in path.read_text(encoding="utf-8")
    )
    for module in (*_BUILT_IN, *others):
        importlib.import_module(f"heist_encoders.autoencoders.{module}")


def autoencoder_names() -> tuple[str, ...]:
    """Names of all registered autoencoders, the built-in ones first, always in the same order."""
    _load_built_in()
    return tuple(_classes)


def autoencoder_class(name: str) -> type[BaseAutoencoder]:
    """The class behind a name; dashes count as underscores, and an environment id will do as well.

    Raises:
        UnknownNameError: naming the nearest known ones.
    """
    _load_built_in()
    plain = name.replace("-", "_").lower()
    if plain in _classes:
        return _classes[plain]
    for cls in _classes.values():
        if cls.env_id == name:
            return cls
    raise unknown_name("autoencoder", name, _classes)


def create_autoencoder(name: str, params: dict[str, Any] | Config | None = None) -> BaseAutoencoder:
    """Build an autoencoder with random weights (torch's global generator draws them).

    Args:
        name: see ``autoencoder_class``.
        params: its sizes; what is left out has the family's default.

    Raises:
        UnknownNameError: if there is no such autoencoder.
        ConfigError: if a parameter is unknown, of the wrong type or out of range.
    """
    cls = autoencoder_class(name)
    if isinstance(params, Config):
        params = params.to_dict()
    return cls(cls.Params.from_dict(params or {}, where=f"params of {cls.name}"))
