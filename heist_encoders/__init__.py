"""heist-encoders: what did my autoencoder throw away?

Balanced, exactly labelled frames of Procgen's Heist from Ray workers, hyperparameter sweeps of autoencoders on
Ray Tune, and the winning encoders as gymnasium environments, RLlib environments and RLlib preprocessors.

Importing this package registers the gymnasium ids; torch, ray and procgen are imported where they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "load_encoder": "heist_encoders.zoo.encoder",
    "Encoder": "heist_encoders.zoo.encoder",
    "open_dataset": "heist_encoders.data.dataset",
    "Dataset": "heist_encoders.data.dataset",
    "DatasetSpec": "heist_encoders.data.manifest",
    "generate": "heist_encoders.data.generate",
    "stream": "heist_encoders.data.stream",
    "FrameStream": "heist_encoders.data.stream",
    "load_policy": "heist_encoders.policies.artifact",
    "train": "heist_encoders.training.train",
    "evaluate": "heist_encoders.evaluation.evaluate",
    "register_encoder_env": "heist_encoders.envs.registration",
}
_SUBMODULES = ("data", "autoencoders", "training", "evaluation", "tuning", "zoo", "envs", "policies", "rllib")

__all__ = ["__version__", *_LAZY, *_SUBMODULES]

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset, open_dataset
    from heist_encoders.data.generate import generate
    from heist_encoders.data.manifest import DatasetSpec
    from heist_encoders.data.stream import FrameStream, stream
    from heist_encoders.envs.registration import register_encoder_env
    from heist_encoders.evaluation.evaluate import evaluate
    from heist_encoders.policies.artifact import load_policy
    from heist_encoders.training.train import train
    from heist_encoders.zoo.encoder import Encoder, load_encoder


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"heist_encoders.{name}")
    raise AttributeError(f"module 'heist_encoders' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


from heist_encoders.envs.registration import register_all  # noqa: E402

register_all()
