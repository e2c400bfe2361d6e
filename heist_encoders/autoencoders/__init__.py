"""The autoencoders: one file an architecture, one decorator to make it known everywhere.

Everything here needs torch, which is imported when the first of these names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "BaseAutoencoder": "base",
    "Output": "base",
    "to_input": "frames",
    "autoencoder_class": "registry",
    "autoencoder_names": "registry",
    "create_autoencoder": "registry",
    "register_autoencoder": "registry",
}

__all__ = [
    "BaseAutoencoder",
    "Output",
    "to_input",
    "autoencoder_class",
    "autoencoder_names",
    "create_autoencoder",
    "register_autoencoder",
]

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder, Output
    from heist_encoders.autoencoders.frames import to_input
    from heist_encoders.autoencoders.registry import (
        autoencoder_class,
        autoencoder_names,
        create_autoencoder,
        register_autoencoder,
    )

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
