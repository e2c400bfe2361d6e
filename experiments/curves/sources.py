"""What policies observe: the encodings of an encoder, the true state, or frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.constants import NUM_MOVES
from heist_encoders.data.sampler import Rows
from heist_encoders.policies.planner import PlannerPolicy
from heist_encoders.policies.play import StepInput
from heist_encoders.policies.policy import choose
from heist_encoders.tasks.registry import task_of
from heist_encoders.zoo.artifact import Artifact
from heist_encoders.zoo.encoder import load_encoder


class Encodings:
    """What an encoder makes of the frames, normalised."""

    def __init__(self, artifact: Artifact) -> None:
        self._encoder = load_encoder(artifact, device="cpu", threads=1)
        self.shape = self._encoder.shape

    def of_rows(self, rows: Rows) -> NDArray[Any]:
        """Drawn rows -> (N, *shape)."""
        return self._encoder.normalize(self._encoder.encode(rows.frames))

    def of_games(self, seen: StepInput) -> NDArray[np.float32]:
        """Games that are played -> float32 (N, *shape)."""
        return self._encoder.normalize(self._encoder.encode(seen.frames))

    def model(self) -> nn.Module:
        """A new head."""
        return PlannerPolicy(self.shape)


class TrueState:
    """The game's state, cell by cell, without the places of things in their cells, on which no move depends."""

    def __init__(self, mode: str = "easy") -> None:
        self._task, self._mode = task_of("heist"), mode
        cells = self._task.cells_in_view(mode)
        self.shape = (14, cells, cells)

    def of_rows(self, rows: Rows) -> NDArray[Any]:
        return self._state(rows.labels)

    def of_games(self, seen: StepInput) -> NDArray[np.float32]:
        return self._state(self._task.label(seen.engine, [int(game) for game in seen.games], seen.rewards))

    def _state(self, labels: Any) -> NDArray[np.float32]:
        state = self._task.true_state(labels, self._mode, places=False)
        assert state is not None
        return state

    def model(self) -> nn.Module:
        return PlannerPolicy(self.shape)


class Pixels:
    """The frames themselves, for a network of its own."""

    shape = (3, 64, 64)

    def of_rows(self, rows: Rows) -> NDArray[Any]:
        return np.ascontiguousarray(rows.frames.transpose(0, 3, 1, 2))

    def of_games(self, seen: StepInput) -> NDArray[np.float32]:
        return np.ascontiguousarray(seen.frames.transpose(0, 3, 1, 2), np.float32)

    def model(self) -> nn.Module:
        return Impala()


class Impala(nn.Module):
    """The network that published results on Procgen use (Espeholt et al. 2018): pixels of 0 to 255 -> logits."""

    def __init__(self, channels: tuple[int, ...] = (16, 32, 32)) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = 3
        for width in channels:
            convolutions = [nn.Conv2d(before, width, 3, padding=1)]
            convolutions += [nn.Conv2d(width, width, 3, padding=1) for _ in range(4)]
            self.stages.append(nn.ModuleList(convolutions))
            before = width
        self.hidden = nn.Linear(before * 8 * 8, 256)
        self.logits = nn.Linear(256, NUM_MOVES)
        self.to(memory_format=torch.channels_last)

    def forward(self, frames: Tensor) -> tuple[Tensor, None]:
        x = (frames / 255).contiguous(memory_format=torch.channels_last)
        for first, *others in self.stages:
            x = functional.max_pool2d(first(x), 3, 2, padding=1)
            for a, b in (others[:2], others[2:]):
                x = x + b(functional.relu(a(functional.relu(x))))
        return self.logits(functional.relu(self.hidden(functional.relu(x).flatten(1)))), None


class HeadPlayer:
    """A head that plays what its source shows; a ``BatchPolicy``."""

    name = "policy"

    def __init__(self, source: Any, model: nn.Module, seed: int = 0) -> None:
        self._source, self._model = source, model
        self._rng = np.random.default_rng(seed)

    def start(self, games: Any) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def act(self, seen: StepInput) -> NDArray[np.int64]:
        """int64 (n,), drawn from the policy's distribution."""
        logits = self._model(torch.from_numpy(np.ascontiguousarray(self._source.of_games(seen), np.float32)))[0]
        return choose(logits.numpy(), self._rng)
