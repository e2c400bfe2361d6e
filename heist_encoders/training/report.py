"""What a training reports while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from heist_encoders.errors import ConfigError

if TYPE_CHECKING:
    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.training.config import TrainConfig


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch. Losses are means over samples; all but ``train_loss`` are of the test split."""

    epoch: int
    """From 0."""
    train_loss: float
    test_loss: float
    """With full beta, whatever the warm-up, so that epochs compare."""
    terms: dict[str, float]
    """Each term of the test loss before its weight, and ``mse``, the plain mean squared error over all pixels."""
    active_units: int
    """Dimensions of the encoding that vary over the test frames."""
    units: int
    """Latent dimension."""
    samples: int
    """Trained on so far."""
    samples_per_second: float
    """Of this epoch, the test left out."""
    seconds: float
    """So far, tests included."""
    best: bool
    """Whether the test loss was the lowest until then."""

    @property
    def collapsed(self) -> bool:
        """Under a tenth of the encoding's dimensions vary."""
        return self.active_units < 0.1 * self.units

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the terms beside the rest: ``{"epoch": 0, "test_loss": 0.1, "mse": 0.02, ...}``."""
        values = asdict(self)
        terms: dict[str, float] = values.pop("terms")
        return {**values, **terms}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EpochReport:
        """What ``to_dict`` gave, read back."""
        own = {field.name for field in fields(cls)} - {"terms"}
        terms = {key: value for key, value in values.items() if key not in own}
        return cls(terms=terms, **{key: value for key, value in values.items() if key in own})

    @property
    def mse(self) -> float:
        """Plain mean squared error over all pixels of the test frames, values in [0, 1]."""
        return self.terms["mse"]


@dataclass(frozen=True)
class Progress:
    """Where a running training stands, reported a few times a second."""

    epoch: int
    samples: int
    planned_samples: int
    loss: float
    samples_per_second: float
    seconds: float
    seconds_left: float


@dataclass
class TrainResult:
    """A finished training. ``model`` carries the best weights, on the device it was trained on, in eval mode."""

    model: BaseAutoencoder
    config: TrainConfig
    history: list[EpochReport]
    best_epoch: int
    test_loss: float
    """Of the best epoch."""
    samples: int
    seconds: float
    stopped_early: bool
    """By patience or by the callback, before the planned end."""
    stream: dict[str, Any] | None = None
    """The spec of the endless stream that it was trained on, None for a dataset."""

    def record(self) -> dict[str, Any]:
        """How it went, as an artifact keeps it: configuration, samples, seconds, losses of every epoch."""
        return {
            **({} if self.stream is None else {"stream": self.stream}),
            "config": self.config.to_dict(),
            "samples": self.samples,
            "seconds": round(self.seconds, 1),
            "best_epoch": self.best_epoch,
            "test_loss": self.test_loss,
            "history": [report.to_dict() for report in self.history],
        }


def read_record(record: Mapping[str, Any], *, where: str = "") -> tuple[TrainConfig, int]:
    """What a training of an artifact was, to do it again: its configuration and how many epochs it took.

    The configuration is the whole plan, also of a training that was stopped early: schedules depend on it. Give it to
    ``train`` with a callback that returns True after so many epochs. On the CPU that gives the same weights, unless
    ``max_seconds`` (left out here) had a part in it.

    Args:
        record: ``Artifact.training``, which ``TrainResult.record`` or a trial of a sweep wrote.
        where: starts the error line.

    Raises:
        ConfigError: if it holds no configuration or no epochs.
    """
    from heist_encoders.training.config import TrainConfig

    prefix = f"{where}: " if where else ""
    config, history = record.get("config"), record.get("history")
    if not isinstance(config, dict) or not isinstance(history, list) or not history:
        raise ConfigError(f"{prefix}says not how it was trained (config and history), so that can't be repeated")
    return TrainConfig.from_dict({**config, "max_seconds": None}, where=where), len(history)
