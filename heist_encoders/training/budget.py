"""How much training is planned, and how much of it is done."""

from __future__ import annotations

import math

from heist_encoders.training.config import TrainConfig


class Budget:
    """Counts samples and seconds against what the configuration allows.

    Args:
        config: its ``max_epochs``, ``max_samples`` and ``max_seconds``.
        epoch_steps: batches of a whole epoch.
        batch_size: samples of a batch.

    Attributes:
        planned: samples that the training takes unless time or patience ends it.
        samples: trained on so far.
        seconds: so far, at the end of the last epoch.
    """

    def __init__(self, config: TrainConfig, *, epoch_steps: int, batch_size: int) -> None:
        self.batch_size, self._epoch_steps = batch_size, epoch_steps
        self.planned = config.planned_samples(epoch_steps * batch_size)
        self.max_seconds = config.max_seconds
        self.samples, self.seconds = 0, 0.0

    def next_steps(self) -> int:
        """Batches of the next epoch; the last one may be shorter."""
        return min(self._epoch_steps, max(1, math.ceil((self.planned - self.samples) / self.batch_size)))

    @property
    def spent(self) -> bool:
        """Whether no epoch is left; there is always one."""
        return self.samples > 0 and (self.samples >= self.planned or self.out_of_time(self.seconds))

    def out_of_time(self, seconds: float) -> bool:
        """Whether the training must end after so many seconds."""
        return self.max_seconds is not None and seconds >= self.max_seconds

    def done(self, seconds: float) -> float:
        """The fraction of the planned training that is done after so many seconds."""
        by_time = seconds / self.max_seconds if self.max_seconds else 0.0
        return min(1.0, max(self.samples / self.planned, by_time))

    def seconds_left(self, seconds: float, samples_per_second: float) -> float:
        """How long it will take from now, ``seconds`` after its start, at this rate."""
        left = (self.planned - self.samples) / samples_per_second
        return left if self.max_seconds is None else min(left, max(0.0, self.max_seconds - seconds))
