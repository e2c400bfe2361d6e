"""The package's own autoencoders and their gymnasium ids. Light: known without importing torch."""

from __future__ import annotations

from typing import Final

BUILT_IN: Final = {
    "conv_maxpool": "auto-maxpool-v0",
    "conv_maxpool_big": "auto-maxpool-big-v0",
    "conv_no_bottleneck": "auto-no-bottleneck-v0",
    "conv_unpool": "auto-unpool-v0",
    "vae_paper": "vae-paper-v0",
    "vae_alex": "vae-alex-v0",
    "compact": "auto-compact-v0",
    "grid": "auto-grid-v0",
}
"""Name -> gymnasium id, in the order in which they are listed."""


def env_id_for(name: str) -> str:
    """The gymnasium id that goes with a name: the built-in one's, else the name with dashes and ``-v0``."""
    return BUILT_IN.get(name) or f"{name.replace('_', '-')}-v0"
