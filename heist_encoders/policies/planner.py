"""The planning head: a small recurrent convolution that can find its way through a maze, on an encoding."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heist_encoders.arrays import Reals
from heist_encoders.config import Config
from heist_encoders.constants import NUM_MOVES
from heist_encoders.errors import ConfigError


class PlannerConfig(Config):
    """Sizes of a planning head.

    Attributes:
        channels: of the plan, per cell.
        iterations: steps of the recurrent convolution. Each carries what is known one cell further, so that the
            longest way in the maze sets how many are of use.
        hidden: units behind the readings of the plan, and the size of the features.
        kernel: side of the first convolution, odd; 1 is enough where a cell of the encoding is a cell of the maze.
        reads: attention maps that read the plan.
        grid: side of the plan for flat encodings, which a linear layer lifts to it. Spatial encodings are planned on
            as they are.
        lift: channels of the lifted encoding.
    """

    channels: int = Field(default=24, ge=1, le=512)
    iterations: int = Field(default=16, ge=1, le=128)
    hidden: int = Field(default=128, ge=1, le=4096)
    kernel: int = Field(default=3, ge=1, le=7)
    reads: int = Field(default=2, ge=1, le=16)
    grid: int = Field(default=9, ge=2, le=64)
    lift: int = Field(default=16, ge=1, le=256)


class Planner(nn.Module):
    """Encodings -> features.

    The encoding and a learned map of positions make an input ``x`` for each cell; then, some times,
    ``h <- (h + relu(conv3x3(h) + x)) / 2`` with the same weights, which can carry a target's distance through the
    corridors. Attention maps read ``[h, x]`` at places that they choose (the agent's, say); these readings and the
    maximum of ``h`` over the cells go into ``hidden`` units.

    Args:
        shape: of an encoding: (C, H, W), or (D,) for flat ones.
        config: sizes, or None for the defaults.

    Raises:
        ConfigError: for a shape that is neither, or an even kernel.
    """

    def __init__(self, shape: Sequence[int], config: PlannerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PlannerConfig()
        self.shape = shape = tuple(int(side) for side in shape)
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ConfigError(f"encodings of shape {shape}: expected (channels, height, width) or (dimensions,)")
        if config.kernel % 2 == 0:
            raise ConfigError(f"kernel = {config.kernel}: expected an odd number")
        side = config.grid
        self._flat = len(shape) == 1 or shape[1:] == (1, 1)
        plan = (config.lift, side, side) if self._flat else shape
        self.lift = nn.Linear(math.prod(shape), math.prod(plan)) if self._flat else None
        self._plan = plan
        self.stem = nn.Conv2d(plan[0], config.channels, config.kernel, padding=config.kernel // 2)
        self.position = nn.Parameter(torch.zeros(1, config.channels, *plan[1:]))
        self.step = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.attention = nn.Conv2d(2 * config.channels, config.reads, 1)
        self.features = nn.Linear((2 * config.reads + 1) * config.channels, config.hidden)
        # Torch's own are too small for sparse inputs: these learn more from as many samples.
        nn.init.kaiming_normal_(self.stem.weight)
        nn.init.normal_(self.position, std=0.1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def num_features(self) -> int:
        """Size of the features."""
        return self.config.hidden

    def forward(self, encodings: Tensor) -> Tensor:
        """Float32 (B, *shape), or flattened (B, D) -> features float32 (B, hidden), at least 0."""
        batch = len(encodings)
        if self.lift is not None:
            encodings = self.lift(encodings.reshape(batch, -1))
        inputs = encodings.reshape(batch, *self._plan).contiguous(memory_format=torch.channels_last)
        x = self.stem(inputs) + self.position
        h = functional.relu(x)
        for _ in range(self.config.iterations):
            h = (h + functional.relu(self.step(h) + x)) * 0.5
        both = torch.cat([h, x], dim=1)
        where = self.attention(both).flatten(2).softmax(dim=-1)  # (B, reads, cells)
        read = torch.einsum("brs,bcs->brc", where, both.flatten(2)).flatten(1)
        return functional.relu(self.features(torch.cat([read, h.amax(dim=(2, 3))], dim=1)))


class PlannerPolicy(nn.Module):
    """A planner with a policy and a value on top of it. Its weights are those of a ``HeadPolicy`` of kind ``planner``.

    Args:
        shape: of an encoding, as for ``Planner``.
        config: sizes, or None for the defaults.
        num_actions: actions, 9 for the moves that matter in Heist.
    """

    def __init__(
        self, shape: Sequence[int], config: PlannerConfig | None = None, *, num_actions: int = NUM_MOVES
    ) -> None:
        super().__init__()
        self.body = Planner(shape, config)
        self.logits = nn.Linear(self.body.num_features, num_actions)
        self.value = nn.Linear(self.body.num_features, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    @property
    def planner(self) -> Planner:
        """What is below the policy and the value."""
        return self.body

    def forward(self, encodings: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 (B, *shape) -> logits (B, actions) and values (B,)."""
        features = self.body(encodings)
        return self.logits(features), self.value(features).squeeze(-1)


def plan_loss(logits: Tensor, moves: Tensor) -> Tensor:
    """Mean cross entropy of logits (B, 9) against distributions (B, 9) over moves; rows of zeros do not count."""
    known = moves.sum(dim=1)
    losses = -(moves * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return losses.sum() / known.sum().clamp(min=1)


def plan_accuracy(logits: Tensor | Reals, moves: Tensor | Reals) -> float:
    """Share of rows whose largest logit is a move of the oracle's; rows of zeros do not count.

    Args:
        logits: (N, 9).
        moves: (N, 9), positive for the moves that the oracle would make.

    Returns:
        0 to 1; NaN if there is no row to count.
    """
    logits, moves = torch.as_tensor(logits), torch.as_tensor(moves)
    known = moves.sum(dim=1) > 0
    right = moves.gather(1, logits.argmax(dim=1, keepdim=True))[:, 0] > 0
    return float(right[known].double().mean())


def fit_planner(
    encodings: Reals,
    moves: Reals,
    *,
    samples: int,
    config: PlannerConfig | None = None,
    batch_size: int = 32,
    lr: float = 4e-3,
    clip: float = 1.0,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> PlannerPolicy:
    """A new planning head that learned the oracle's moves: see ``fit_head``.

    Args:
        encodings, moves, samples, batch_size, lr, clip, device, progress: as there.
        config: sizes of the head.
        seed: of the initial weights and the order.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PlannerPolicy(encodings.shape[1:], config, num_actions=moves.shape[1])
    fit_head(
        model, encodings, moves, samples=samples, batch_size=batch_size, lr=lr, clip=clip, seed=seed, device=device,
        progress=progress,
    )  # fmt: skip
    return model


def fit_head(
    model: nn.Module,
    encodings: Reals,
    moves: Reals,
    *,
    samples: int,
    batch_size: int = 32,
    lr: float = 4e-3,
    clip: float = 1.0,
    warm_up: float = 0.02,
    seed: int = 0,
    workers: int = 1,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Teach a head the oracle's moves: Adam, cosine learning rate, cross entropy.

    Args:
        model: encodings -> (logits, ...). Left in eval mode, on the CPU; its value is not trained.
        encodings: float32 or float16 (N, *shape), normalised as the head will see them.
        moves: float32 (N, 9), a distribution over the moves that the oracle would make; rows of zeros are left out.
        samples: how many rows to learn from in all; each epoch takes the rows in a new order.
        batch_size: rows a step. Small ones learn more from as many rows.
        lr: highest learning rate, after the first ``warm_up`` of the steps; it ends at 0.
        clip: largest norm of the gradient.
        warm_up: share of the steps.
        seed: of the order.
        workers: threads that compute the gradient of a batch together, each of a part of it. The layers are too small
            for the threads that torch has inside of an operation. It changes the last digits.
        device: torch device to learn on.
        progress: called after each step with the samples so far and the loss.

    Raises:
        ConfigError: for arrays that do not go together, or no row with a move.
    """
    if len(encodings) != len(moves) or moves.ndim != 2 or min(samples, batch_size, workers) < 1:
        raise ConfigError(
            f"{len(encodings)} encodings, moves {moves.shape}, samples = {samples}, batch_size = {batch_size}, "
            f"workers = {workers}: expected as many moves (N, 9) as encodings, and at least 1 sample, row a batch and "
            "worker"
        )
    known = np.flatnonzero(moves.sum(axis=1) > 0)
    if not len(known):
        raise ConfigError("no row has a move of the oracle's to learn")
    rng = np.random.default_rng(seed)
    model.to(device).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=lr)
    size = min(batch_size, len(known))
    steps = max(1, round(samples / size))
    order, at = rng.permutation(known), 0
    with shared_gradients(model, min(workers, size)) as gradient:
        for step in range(steps):
            if at + size > len(order):
                order, at = rng.permutation(known), 0
            rows = order[at : at + size]
            at += size
            for group in optimizer.param_groups:
                group["lr"] = lr * schedule(step / steps, warm_up)
            batch = torch.as_tensor(encodings[rows]).to(device, torch.float32)
            loss = gradient(batch, torch.as_tensor(moves[rows]).to(device, torch.float32))
            nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            if progress is not None:
                progress((step + 1) * size, loss)
    model.cpu().eval()


@contextlib.contextmanager
def shared_gradients(model: nn.Module, workers: int) -> Iterator[Callable[[Tensor, Tensor], float]]:
    """A function that puts the gradient of a batch's loss into the model's parameters and returns the loss."""
    replicas = [model, *(copy.deepcopy(model) for _ in range(workers - 1))]
    parameters = [list(replica.parameters()) for replica in replicas]
    for others in parameters[1:]:  # the same memory: what the optimizer changes, all have
        for own, other in zip(parameters[0], others, strict=True):
            other.data = own.data

    def part(replica: nn.Module, encodings: Tensor, moves: Tensor, share: float) -> float:
        loss = plan_loss(replica(encodings)[0], moves) * share
        replica.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def whole(pool: Executor, encodings: Tensor, moves: Tensor) -> float:
        x, y = encodings.chunk(workers), moves.chunk(workers)
        jobs = [
            pool.submit(part, replica, a, b, len(a) / len(encodings))
            for replica, a, b in zip(replicas[1:], x[1:], y[1:], strict=False)
        ]
        loss = part(model, x[0], y[0], len(x[0]) / len(encodings)) + sum(job.result() for job in jobs)
        for others in parameters[1 : len(x)]:
            for own, other in zip(parameters[0], others, strict=True):
                if own.grad is not None and other.grad is not None:
                    own.grad.add_(other.grad)
        return loss

    with ThreadPoolExecutor(max(1, workers - 1), "gradients") as pool:
        yield lambda encodings, moves: whole(pool, encodings, moves)


def schedule(done: float, warm_up: float = 0.02) -> float:
    """Factor of the learning rate: up in a line, then down in half a cosine."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


@torch.no_grad()
def plan_logits(model: nn.Module, encodings: Reals, *, batch_size: int = 512) -> NDArray[np.float32]:
    """Logits of many encodings: float32 or float16 (N, *shape) -> float32 (N, actions)."""
    device = next(model.parameters()).device
    parts = [
        model(torch.as_tensor(encodings[at : at + batch_size]).to(device, torch.float32))[0].cpu()
        for at in range(0, len(encodings), batch_size)
    ]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits
