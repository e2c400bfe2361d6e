"""Weights & Biases and MLflow, by the callbacks that Ray Tune has for them. Both stay on this machine by default."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from ray.tune import Callback

PROJECT = "heist-encoders"


def logger_callbacks(names: Sequence[str], sweep: Path) -> list[Callback]:
    """Tune's callbacks for the named loggers.

    ``wandb``: project ``$WANDB_PROJECT`` or ``heist-encoders``, group the sweep's name; with ``WANDB_MODE=offline``
    runs stay in the sweep's folder. ``mlflow``: experiment of the sweep's name at ``$MLFLOW_TRACKING_URI``, by default
    files in the sweep's folder ``mlflow``.

    Args:
        names: ``SweepOptions.log``.
        sweep: the sweep's folder.

    Raises:
        MissingDependencyError: if the package is not installed.
        ConfigError: if W&B has no key and is not set to stay offline.
    """
    known = {"wandb": _wandb, "mlflow": _mlflow}
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            raise MissingDependencyError(
                f"log = {name!r} needs the package {name}, which is not installed: pip install 'heist-encoders[{name}]'"
            ) from None
    return [known[name](sweep) for name in names]


def _wandb(sweep: Path) -> Callback:
    import wandb
    from ray.air.integrations.wandb import WandbLoggerCallback

    if os.environ.get("WANDB_MODE") not in ("offline", "disabled") and not wandb.api.api_key:
        raise ConfigError("log = 'wandb' finds no key: run 'wandb login', or set WANDB_MODE=offline to keep runs here")
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    # resume: a sweep that goes on continues the runs of its trials.
    return WandbLoggerCallback(project=project, group=sweep.name, dir=str(sweep), resume="allow")


def _mlflow(sweep: Path) -> Callback:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        uri = (sweep / "mlflow").as_uri()
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 refuses files without it
    return MLflowLoggerCallback(tracking_uri=uri, experiment_name=sweep.name, tags={"package": PROJECT})
