"""The processes that train one model together: alone, or a group that torch.distributed connects."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Alone:
    """One process that trains by itself."""

    rank = 0
    size = 1

    def part(self, batch: int) -> slice:
        """Which rows of a batch are this process's."""
        return slice(0, batch)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, in place."""

    def agree(self, values: Sequence[float]) -> list[float]:
        """The first process's values, for decisions that all must take alike."""
        return list(values)


class Together(Alone):
    """A process of the default group of torch.distributed.

    Args:
        device: where tensors must lie to be exchanged: the GPU under NCCL, the CPU under gloo.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._device = device

    def part(self, batch: int) -> slice:
        """Equal parts in the order of the ranks."""
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """One exchange for all of them; every process ends with the same bits."""
        flat = torch.cat([tensor.detach().float().reshape(-1) for tensor in tensors]).to(self._device)
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def agree(self, values: Sequence[float]) -> list[float]:
        """Send the first process's values to all."""
        sent = torch.tensor(list(values), dtype=torch.float64, device=self._device)
        torch.distributed.broadcast(sent, 0)
        found: list[float] = sent.tolist()
        return found


def moving_statistics(model: nn.Module) -> list[Tensor]:
    """The buffers of a model that each process moves by its own part of the batches: those of batch normalisation."""
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]
