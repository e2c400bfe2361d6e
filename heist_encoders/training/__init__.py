"""Training of autoencoders: a plain function, no Ray. torch is imported when the first of these names is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
