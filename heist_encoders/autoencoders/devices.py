"""Which device a model runs on."""

from __future__ import annotations

import torch

from heist_encoders.errors import ConfigError, ResourceError


def resolve_device(device: str) -> torch.device:
    """``auto`` is the GPU when there is one, else the CPU; other names are checked.

    Raises:
        ConfigError: if torch knows no such device.
        ResourceError: if this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, ValueError):
        found = None
    if found is None or found.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device = {device!r}: expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ResourceError(f"device = {device!r}: torch sees {count} GPUs here; use 'auto' or 'cpu'")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ResourceError(f"device = {device!r}: torch sees none here; use 'auto' or 'cpu'")
    return found
