"""Logs of a training: ``history.jsonl`` (one epoch a line) and TensorBoard events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from heist_encoders.files import write_atomically
from heist_encoders.training.report import EpochReport

_CURVES = ("train_loss", "test_loss", "active_units", "samples_per_second")


class Logs:
    """Writes the logs of one training.

    Args:
        folder: of the training; events go to ``tensorboard/`` in it.
        first_epoch: the epoch that comes next; what TensorBoard holds from there on is void.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._history = folder / "history.jsonl"
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=first_epoch)

    def write(self, history: list[EpochReport]) -> None:
        """Log the last epoch of the history."""
        lines = "".join(json.dumps(report.to_dict()) + "\n" for report in history)
        write_atomically(self._history, lines)
        last = history[-1]
        for curve, value in {**{name: getattr(last, name) for name in _CURVES}, **last.terms}.items():
            self._writer.add_scalar(curve, value, last.epoch)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
