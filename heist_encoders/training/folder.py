"""The folder of a training: who may write there, its checkpoint, its logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from heist_encoders.errors import ConfigError
from heist_encoders.files import FolderLock, prepare_folder
from heist_encoders.training.best import BestEpoch
from heist_encoders.training.checkpoint import Checkpoint
from heist_encoders.training.logs import Logs
from heist_encoders.training.report import EpochReport


class Saved(NamedTuple):
    """A training at the end of its last finished epoch."""

    history: list[EpochReport]
    best: BestEpoch
    samples: int
    seconds: float
    last: dict[str, Tensor]
    """Weights, states of the loss and the optimizer: what training goes on from."""


class RunFolder:
    """Where a training is kept.

    Args:
        out: the folder.
        identity: what must be the same for a training to go on there.
        writes: False for a process that only reads: all but the first of several.

    Raises:
        ConfigError: if the folder can't be used, or another training is writing there.
    """

    def __init__(self, out: Path, identity: dict[str, Any], *, writes: bool) -> None:
        prepare_folder(out)
        self._lock = FolderLock(out) if writes else None
        self._checkpoint, self._identity = Checkpoint(out), identity
        self._logs: Logs | None = None

    def begin(self, *, resume: bool) -> Saved | None:
        """Open the logs; give what there is to go on from, or remove it.

        Raises:
            ConfigError: if what there is to go on from is another training.
            ArtifactError: if a file of it is missing or altered.
        """
        saved = None
        if resume:
            saved = self._load()
        else:
            self._checkpoint.discard()
        if self._lock is not None:
            self._logs = Logs(self._checkpoint.folder, 0 if saved is None else len(saved.history))
        return saved

    def _load(self) -> Saved | None:
        loaded = self._checkpoint.load()
        if loaded is None:
            return None
        state, last, best = loaded
        if state["identity"] != self._identity:
            here, there = _flat(self._identity), _flat(state["identity"])
            key = next(k for k in {**here, **there} if here.get(k) != there.get(k))
            raise ConfigError(
                f"{self._checkpoint.folder} holds another training ({key}: {there.get(key)!r} there, "
                f"{here.get(key)!r} here); choose another folder or start anew with resume=False"
            )
        history = [EpochReport.from_dict(report) for report in state["history"]]
        epoch = state["best_epoch"]
        return Saved(
            history, BestEpoch(epoch, history[epoch].test_loss, best), state["samples"], state["seconds"], last
        )

    def commit(self, saved: Saved) -> None:
        """Keep a finished epoch; its tensors are contiguous and on the CPU."""
        assert self._logs is not None, "this process only reads"
        state = {
            "epoch": saved.history[-1].epoch,
            "best_epoch": saved.best.epoch,
            "samples": saved.samples,
            "seconds": saved.seconds,
            "identity": self._identity,
            "history": [report.to_dict() for report in saved.history],
        }
        self._checkpoint.save(state, last=saved.last, best=saved.best.weights, best_epoch=saved.best.epoch)
        self._logs.write(saved.history)

    def close(self) -> None:
        """Close the logs and let other trainings in."""
        if self._logs is not None:
            self._logs.close()
        if self._lock is not None:
            self._lock.release()


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves |= _flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
