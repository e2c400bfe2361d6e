"""Weights from a file into a network whose sizes a configuration says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")
_LARGER, _MORE_BYTES = 4, 64_000_000
"""What a network may take while it is built: some times its file (which may hold float16), and some more."""


class _Bounded(TorchFunctionMode):
    """RuntimeError where tensors of more than ``most`` bytes in all would be made.

    Torch's device ``meta`` would do without any memory, but then whatever reads a value fails, and random numbers
    import torch's compiler, which takes two seconds.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most
        self._made_by = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange}

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in self._made_by:
            try:
                self._left -= function(*args, **{**kwargs, "device": "meta"}).nbytes
            except (TypeError, OverflowError):  # of a size beyond 64 bits
                self._left = -1
            if self._left < 0:
                raise RuntimeError("the network is much larger than its weights")
        return function(*args, **kwargs)


def load_weights(build: Callable[[], Network], path: Path, apart: Collection[str] = ()) -> Network:
    """Build a network and give it its weights. Memory is bounded by the file's size, whatever sizes ``build`` asks for.

    Args:
        build: makes the network.
        path: a safetensors file.
        apart: names of tensors in the file that are not the network's.

    Raises:
        RuntimeError, SafetensorError: if these are not its weights.
        OSError: if the file can't be read.
    """
    from safetensors.torch import load_file

    from heist_encoders.autoencoders.threads import one_thread

    with one_thread():  # weights that are overwritten anyway must not start threads that a fork would miss
        with _Bounded(_LARGER * path.stat().st_size + _MORE_BYTES):
            network = build()
        state = load_file(path, device="cpu")
        network.load_state_dict({name: tensor for name, tensor in state.items() if name not in apart})
    return network
