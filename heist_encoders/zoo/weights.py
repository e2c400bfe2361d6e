"""Weights from a file into a network whose sizes a configuration says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")


def load_weights(build: Callable[[], Network], path: Path, apart: Collection[str] = ()) -> Network:
    """Build a network and give it its weights.

    The shapes in the file's head are looked at first: a configuration that asks for more than the file holds would
    otherwise take any amount of memory.

    Args:
        build: makes the network; called twice, first on torch's device ``meta``, where it takes no memory.
        path: a safetensors file.
        apart: names of tensors in the file that are not the network's.

    Raises:
        RuntimeError, SafetensorError: if these are not its weights.
        OSError: if the file can't be read.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    from heist_encoders.autoencoders.threads import one_thread

    with safe_open(path, framework="pt") as file:
        held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys() if name not in apart}  # noqa: SIM118
    with one_thread():  # weights that are overwritten anyway must not start threads that a fork would miss
        with torch.device("meta"):
            expected = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
        for name in sorted(held.keys() | expected.keys()):
            if held.get(name) != expected.get(name):
                raise RuntimeError(f"{name} has shape {held.get(name)}, expected {expected.get(name)}")
        network = build()
        state = load_file(path, device="cpu")
        network.load_state_dict({name: state[name] for name in held})
    return network
