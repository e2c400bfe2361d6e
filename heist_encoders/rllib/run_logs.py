"""The figures of a PPO run in TensorBoard, Weights & Biases or MLflow, by Ray's integrations. All stay on this machine
unless their own settings say otherwise."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heist_encoders.errors import ConfigError, MissingDependencyError

PROJECT = "heist-encoders"
BIASED = ("return_mean", "length_mean")
"""RLlib's running means: at first only the short episodes, the successes, have ended."""


def check_loggers(names: Sequence[str]) -> None:
    """Raise if a logger can't be used here.

    Raises:
        MissingDependencyError: if its package is not installed.
        ConfigError: if W&B has no key and is not set to stay offline.
    """
    for name in names:
        try:
            module = importlib.import_module(name)
        except ImportError:
            raise MissingDependencyError(
                f"log = {name!r} needs the package {name}, which is not installed: pip install 'heist-encoders[{name}]'"
            ) from None
        offline = os.environ.get("WANDB_MODE") in ("offline", "disabled")
        if name == "wandb" and not offline and not module.api.api_key:
            raise ConfigError(
                "log = 'wandb' finds no key: run 'wandb login', or set WANDB_MODE=offline to keep runs here"
            )


class RunLogs:
    """Writes the lines of ``train_ppo`` to loggers.

    Args:
        names: of ``tensorboard``, ``wandb`` and ``mlflow``.
        folder: of the run; its last parts name it.
        options: the run's options, logged as its configuration.
        first_step: environment steps of the line that comes next; what TensorBoard holds from there on is void.

    Raises:
        MissingDependencyError, ConfigError: as ``check_loggers``.
    """

    def __init__(self, names: Sequence[str], folder: Path, options: Mapping[str, Any], first_step: int = 0) -> None:
        check_loggers(names)
        known = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
        self._loggers = [known[name](folder, dict(options), first_step) for name in names]

    def write(self, line: Mapping[str, Any]) -> None:
        """Log the figures of an iteration by the environment steps so far, without RLlib's biased means."""
        figures = {name: value for name, value in line.items() if name not in BIASED}
        evaluation = figures.pop("evaluation", None) or {}
        figures |= {f"evaluation/{name}": value for name, value in evaluation.items()}
        numbers = {name: float(value) for name, value in figures.items() if isinstance(value, (int, float))}
        for write, _ in self._loggers:
            write(numbers, int(line["env_steps"]))

    def close(self) -> None:
        """Flush and end the runs."""
        for _, close in self._loggers:
            close()


_Logger = tuple[Callable[[dict[str, float], int], None], Callable[[], None]]


def _tensorboard(folder: Path, options: dict[str, Any], first_step: int) -> _Logger:
    from torch.utils.tensorboard.writer import SummaryWriter

    writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)

    def write(figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return write, writer.close


def _wandb(folder: Path, options: dict[str, Any], first_step: int) -> _Logger:
    from ray.air.integrations.wandb import setup_wandb

    # The same folder is the same run: one that goes on continues it.
    run: Any = setup_wandb(
        options,
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=folder.name,
        group=folder.parent.name,
        trial_id=hashlib.sha256(str(folder).encode()).hexdigest()[:16],
        dir=str(folder),
        resume="allow",
    )

    def write(figures: dict[str, float], step: int) -> None:
        run.log(figures, step=step)

    return write, run.finish


def _mlflow(folder: Path, options: dict[str, Any], first_step: int) -> _Logger:
    from ray.air.integrations.mlflow import setup_mlflow

    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        uri = (folder / "mlflow").as_uri()
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 refuses files without it
    flow: Any = setup_mlflow(
        options,
        tracking_uri=uri,
        experiment_name=PROJECT,
        run_name=folder.name,
        create_experiment_if_not_exists=True,
    )

    def write(figures: dict[str, float], step: int) -> None:
        flow.log_metrics(figures, step=step)

    return write, flow.end_run
