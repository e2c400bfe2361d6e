"""What this machine is best trained on: device, precision, threads."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from heist_encoders.errors import ResourceError


@lru_cache(maxsize=1)
def cpu_features() -> frozenset[str]:
    """What /proc/cpuinfo says that the first CPU can do; empty where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), ":")
    return frozenset(flags.partition(":")[2].split())


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of convolutions and products: bfloat16 under ``auto`` where there are instructions for it.

    On a CPU that is AMX (tiles). With AVX-512 BF16 alone the conversions cost what the products save.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = "amx_bf16" in cpu_features() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return torch.bfloat16 if fast else torch.float32


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model's forward pass through ``torch.compile``; weights and their names stay those of ``model``.

    Raises:
        ResourceError: if the device is a CPU and there is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise ResourceError(f"compile = True needs a C++ compiler and there is no {compiler!r}; set compile to false")
    torch._dynamo.reset()  # a process that trains many models would run into dynamo's limit of recompilations
    return cast(nn.Module, torch.compile(model, dynamic=False))


# Names and numbers of glibc's <malloc.h>, with its defaults.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = (-1, 128 * 1024), (-2, 0), (-4, 65536)


@contextmanager
def keep_memory() -> Iterator[None]:
    """Let freed activations stay with the process in the block, instead of going back to the kernel at every step.

    Fetching and zeroing those pages anew costs a small convolutional network on a CPU 10 to 20% of its time. Does
    nothing without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for (option, _), value in ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20), (_MMAP_MAX, 0)):
        libc.mallopt(option, value)
    try:
        yield
    finally:
        for option, default in (_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX):
            libc.mallopt(option, default)
        libc.malloc_trim(0)


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Count float32 numbers below 1.2e-38 as 0 in the block, in this thread and in those that it starts.

    A silent unit has gradients of exactly 0, so Adam's moments of its weights shrink at each step until they are
    denormal, where arithmetic takes many times as long: with half of conv_maxpool's units silent, a third of its
    training went into that.
    """
    for dtype in (np.float32, np.float64):
        np.finfo(dtype)  # numpy keeps what it finds, and must not find it here
    before = bool((torch.tensor([1e-40]) * 1.0).item() == 0.0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many CPU threads in the block; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
