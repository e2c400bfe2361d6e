"""The zoo: artifacts (trained autoencoders on disk), how they are found, and the encoders made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "Artifact": "artifact",
    "load_artifact": "artifact",
    "save_artifact": "artifact",
    "update_metrics": "artifact",
    "verify": "artifact",
    "Encoder": "encoder",
    "EncoderOptions": "options",
    "load_encoder": "encoder",
    "find_artifact": "lookup",
    "list_artifacts": "lookup",
    "promote": "lookup",
}

__all__ = list(_LAZY)

if TYPE_CHECKING:
    from heist_encoders.zoo.artifact import Artifact as Artifact
    from heist_encoders.zoo.artifact import load_artifact as load_artifact
    from heist_encoders.zoo.artifact import save_artifact as save_artifact
    from heist_encoders.zoo.artifact import update_metrics as update_metrics
    from heist_encoders.zoo.artifact import verify as verify
    from heist_encoders.zoo.encoder import Encoder as Encoder
    from heist_encoders.zoo.encoder import load_encoder as load_encoder
    from heist_encoders.zoo.lookup import find_artifact as find_artifact
    from heist_encoders.zoo.lookup import list_artifacts as list_artifacts
    from heist_encoders.zoo.lookup import promote as promote
    from heist_encoders.zoo.options import EncoderOptions as EncoderOptions

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
