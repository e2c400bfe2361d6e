"""Training of autoencoders: a plain function, no Ray. torch is imported when the first of these names is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_LAZY = {
    "EpochReport": "report",
    "Progress": "report",
    "TrainResult": "report",
    "LossConfig": "config",
    "TrainConfig": "config",
    "default_config": "config",
}

__all__ = [
    "EpochReport",
    "Progress",
    "TrainResult",
    "LossConfig",
    "TrainConfig",
    "default_config",
]

if TYPE_CHECKING:
    from heist_encoders.training.config import LossConfig, TrainConfig, default_config
    from heist_encoders.training.report import EpochReport, Progress, TrainResult


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
