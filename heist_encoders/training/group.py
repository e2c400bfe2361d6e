"""The processes that train one model together: a single one, or the default group of torch.distributed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class SingleProcess:
    """Training in one process: a world of size 1."""

    rank = 0
    world_size = 1

    def shard(self, batch_size: int) -> slice | None:
        """Which rows of a batch are this process's; None: all."""
        return None

    def prepare(self, module: nn.Module) -> nn.Module:
        """``module`` such that ``backward`` averages the gradients over the processes."""
        return module

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a scalar over the processes."""
        return value

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """The first process's values, for decisions that all must take alike."""
        return list(values)


class ProcessGroup(SingleProcess):
    """A process of the default group of torch.distributed.

    Args:
        device: where tensors must lie to be exchanged: the GPU under NCCL, the CPU under gloo.
        wrap: puts a module on this device into DistributedDataParallel.
    """

    def __init__(self, device: torch.device, wrap: Callable[[nn.Module], nn.Module]) -> None:
        self.rank, self.world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._device, self._wrap = device, wrap

    def shard(self, batch_size: int) -> slice | None:
        """Equal shards in the order of the ranks."""
        size = batch_size // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    def prepare(self, module: nn.Module) -> nn.Module:
        """See ``SingleProcess``. Buffers become the first process's at each forward pass."""
        return self._wrap(module)

    def mean(self, value: Tensor) -> Tensor:
        """See ``SingleProcess``."""
        total = value.to(self._device, copy=True)
        torch.distributed.all_reduce(total)
        return total / self.world_size

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """See ``SingleProcess``."""
        sent = torch.tensor(list(values), dtype=torch.float64, device=self._device)
        torch.distributed.broadcast(sent, 0)
        found: list[float] = sent.tolist()
        return found
