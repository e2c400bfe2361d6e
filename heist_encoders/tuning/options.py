"""What a sweep maximises, under which limits, and how much it may spend."""

from __future__ import annotations

import warnings
from typing import Annotated, ClassVar, Final

from pydantic import Field

from heist_encoders.config import Config, one_of
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject

METRICS: Final = ("miou", "presence_f1", "linear_presence_f1", "test_loss")
OLD_METRICS: Final = {"mlp_f1": "presence_f1", "linear_f1": "linear_presence_f1"}
"""Names of version 0.1, which go on working for one version."""
SCHEDULERS: Final = ("asha", "median", "none")
SEARCHES: Final = ("random", "optuna")
LOGGERS: Final = ("wandb", "mlflow")
INFEASIBLE = 1e6
"""An encoder over a limit scores ``-INFEASIBLE * excess`` (excess > 1), below every encoder within the limits."""


class Objective(Config):
    """What one trial is evaluated by.

    Attributes:
        metric: ``miou`` (of the semantic map that a probe reads from the encoding, in [0, 1]), ``presence_f1`` or
            ``linear_presence_f1`` (mean F1 of a probe that says which elements are in the frame; it hardly tells a
            trained encoder from an untrained one), or ``test_loss`` (minimised; not comparable between
            different losses).
        max_latent_dimension: Largest allowed latent dimension.
        max_latency_ms: Largest allowed CPU time of the encoder on one frame, on one thread, in milliseconds.
        probe_frames: Frames of the train split that a probe inside a trial is fitted on; it is evaluated on half as
            many of the test split.
        first_probe: A trial is probed, reports and saves a checkpoint after so many epochs, and at its end.
        probe_factor: The next report comes after so many times as many epochs, and so on; with a factor of 1 every
            ``first_probe`` epochs. A sweep puts the rungs of ASHA here.
    """

    metric: Annotated[str, one_of(METRICS)] = "miou"
    max_latent_dimension: int = Field(default=1200, ge=1)
    max_latency_ms: float = Field(default=5.0, gt=0)
    probe_frames: int = Field(default=4000, ge=64)
    first_probe: int = Field(default=1, ge=1)
    probe_factor: int = Field(default=2, ge=1)

    renamed: ClassVar = {"max_encoding_size": "max_latent_dimension"}

    @classmethod
    def with_new_names(cls, data: JsonObject) -> JsonObject:
        """See ``Config``; metrics have new names too."""
        metric = data.get("metric")
        if isinstance(metric, str) and metric in OLD_METRICS:
            warnings.warn(f"metric {metric!r} is now {OLD_METRICS[metric]!r}", DeprecationWarning, stacklevel=2)
            data = {**data, "metric": OLD_METRICS[metric]}
        return super().with_new_names(data)

    def probed(self, epoch: int) -> bool:
        """Whether a trial is probed after so many epochs (from 1)."""
        if self.probe_factor == 1:
            return epoch % self.first_probe == 0
        rung = self.first_probe
        while rung < epoch:
            rung *= self.probe_factor
        return rung == epoch

    def excess(self, latent_dimension: int, latency_ms: float) -> float:
        """How far over the limits an encoder is: at most 1 within them, 2 at twice a limit."""
        return max(latent_dimension / self.max_latent_dimension, latency_ms / self.max_latency_ms)

    def reason(self, metrics: JsonObject) -> str:
        """Why an encoder with such ``latent_dimension`` and ``latency_ms`` can't win, in words; empty if it can."""
        size, latency = metrics["latent_dimension"], metrics["latency_ms"]
        reasons = []
        if size > self.max_latent_dimension:
            reasons.append(f"latent dimension {size:,} over {self.max_latent_dimension:,}")
        if latency > self.max_latency_ms:
            reasons.append(f"latency {latency:.3g} ms over {self.max_latency_ms:g}")
        return ", ".join(reasons)

    def check_game(self, game: str) -> None:
        """Raise ConfigError if the metric can't be read from frames of a game."""
        from heist_encoders.tasks.registry import task_of

        task = task_of(game)
        read = {name for target in task.probe_targets() for name in target.figures}
        known = {"test_loss", *read, *(f"linear_{name}" for name in read), *(("miou",) if task.classes else ())}
        if self.metric not in known:
            usable = [name for name in METRICS if name in known]
            raise ConfigError(
                f"metric {self.metric!r} can't be read from frames of {game}; choose one of: {', '.join(usable)}"
            )

    def score(self, metrics: JsonObject) -> float:
        """The number that a sweep maximises, from a trial's ``metrics``.

        Within the limits the metric itself (``-test_loss`` for the loss); beyond them so low that no encoder over
        a limit is ever chosen before one within.
        """
        excess = self.excess(metrics["latent_dimension"], metrics["latency_ms"])
        if excess > 1:
            return -INFEASIBLE * excess
        value = float(metrics[self.metric])
        return -value if self.metric == "test_loss" else value


class SweepOptions(Config):
    """How a sweep searches and how much it may spend.

    One schema for ``sweep``, the section ``sweep`` of a search space's YAML, and ``heist-encoders tune``: a field that
    is added here is an option of all three.
    """

    num_samples: int = Field(default=8, ge=1)
    """configurations to try (times the points of a grid)"""

    scheduler: Annotated[str, one_of(SCHEDULERS)] = "asha"
    """``asha`` stops trials that fall behind, ``median`` those below the median, ``none`` stops none"""

    grace_epochs: int = Field(default=1, ge=1)
    """epochs that every trial is given before ASHA may stop it"""

    reduction_factor: int = Field(default=2, ge=2)
    """ASHA keeps one of this many trials at each rung; rungs are this factor apart"""

    search: Annotated[str, one_of(SEARCHES, "search algorithm")] = "random"
    """``random``, or ``optuna`` (TPE; extra ``optuna``)"""

    time_budget_s: float | None = Field(default=None, gt=0)
    """seconds after which all trials are stopped; their best results so far count"""

    max_concurrent: int | None = Field(default=None, ge=1)
    """most trials at once; None: as many as the resources hold. With 1, the seed alone decides which trial is best"""

    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """of the sampled configurations and of every trial's training"""

    cpus_per_trial: float = Field(default=1.0, gt=0)
    """CPUs, and threads, of a trial"""

    gpus_per_trial: float | None = Field(default=None, ge=0)
    """GPUs, also a fraction, of a trial; None: half a GPU if there is one"""

    max_failures: int = Field(default=2, ge=0)
    """times that a trial whose process or node died is started again, from its last checkpoint"""

    log: tuple[Annotated[str, one_of(LOGGERS, "logger")], ...] = Field(default=(), strict=False)
    """``wandb``, ``mlflow`` (extras of these names), besides TensorBoard; may be given twice"""
