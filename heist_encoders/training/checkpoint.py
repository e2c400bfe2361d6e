"""Checkpoints of a training: tensors in safetensors, the rest in one JSON file that is renamed into place last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from heist_encoders.errors import ArtifactError, one_line
from heist_encoders.files import sha256_of, whole_file, write_atomically
from heist_encoders.json_text import read_json

STATE = "checkpoint.json"
FORMAT_VERSION = 1


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all weights and buffers, contiguous, on the CPU."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }


class Checkpoint:
    """The folder of one training.

    Args:
        folder: holds ``checkpoint.json`` and the two tensor files that it names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: dict[str, Any], *, last: dict[str, Tensor], best: dict[str, Tensor], best_epoch: int) -> None:
        """Commit an epoch: its tensors (contiguous), the best epoch's weights (written only if new) and ``state``."""
        files = {f"last-{state['epoch']:05d}.safetensors": last, f"best-{best_epoch:05d}.safetensors": best}
        hashes = {}
        known = self._read_state().get("files", {}) if (self.folder / STATE).exists() else {}
        for name, tensors in files.items():
            if name in known and name.startswith("best") and (self.folder / name).exists():
                hashes[name] = known[name]
                continue
            with whole_file(self.folder / name) as temporary:
                save_file(tensors, temporary)
                hashes[name] = sha256_of(temporary)
        document = {"format_version": FORMAT_VERSION, **state, "files": hashes}
        write_atomically(self.folder / STATE, json.dumps(document, indent=1).encode())
        self._remove(keep=set(files))

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]] | None:
        """State, last tensors and best weights; None if there is no checkpoint yet.

        Raises:
            ArtifactError: if a file is missing or altered.
        """
        if not (self.folder / STATE).exists():
            return None
        state = self._read_state()
        return state, self._tensors(state, "last"), self._tensors(state, "best")

    def load_best(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """State and best weights of a checkpoint that is there. Raises ArtifactError as ``load`` does."""
        state = self._read_state()
        return state, self._tensors(state, "best")

    def _tensors(self, state: dict[str, Any], kind: str) -> dict[str, Tensor]:
        named = (name for name in state["files"] if re.fullmatch(rf"{kind}-\d+\.safetensors", name))
        name = next(named, f"{kind}-?.safetensors")
        path = self.folder / name
        try:
            if sha256_of(path) != state["files"].get(name):
                raise ArtifactError(f"{path} was altered or truncated; delete {self.folder} to train anew")
            tensors: dict[str, Tensor] = load_file(path)
        except OSError as error:
            raise ArtifactError(f"{path}: {error.strerror}; delete {self.folder} to train anew") from None
        except SafetensorError as error:
            raise ArtifactError(f"{path}: {one_line(error)}; delete {self.folder} to train anew") from None
        return tensors

    def discard(self) -> None:
        """Remove the checkpoint."""
        (self.folder / STATE).unlink(missing_ok=True)
        self._remove(keep=set())

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        try:
            state = read_json(path)
            if state["format_version"] != FORMAT_VERSION or not isinstance(state["files"], dict):
                raise ValueError("unknown format")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} cannot be read ({error}); delete {self.folder} to train anew") from None
        found: dict[str, Any] = state
        return found

    def _remove(self, keep: set[str]) -> None:
        for pattern in ("last-*.safetensors", "best-*.safetensors"):
            for path in self.folder.glob(pattern):
                if path.name not in keep:
                    path.unlink(missing_ok=True)
