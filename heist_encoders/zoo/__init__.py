"""The zoo: artifacts (trained autoencoders on disk), where they are found by name, and encoders made from them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_LAZY = {
    "Artifact": "artifact",
    "load_artifact": "artifact",
    "save_artifact": "artifact",
    "update_metrics": "artifact",
    "verify": "artifact",
    "Encoder": "encoder",
    "load_encoder": "encoder",
    "find_artifact": "lookup",
    "home": "lookup",
    "list_artifacts": "lookup",
    "promote": "lookup",
}

__all__ = [*_LAZY]

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact, load_artifact, save_artifact, update_metrics, verify
    from heist_encoders.zoo.encoder import Encoder, load_encoder
    from heist_encoders.zoo.lookup import find_artifact, home, list_artifacts, promote


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"heist_encoders.zoo.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'heist_encoders.zoo' has no attribute {name!r}")
