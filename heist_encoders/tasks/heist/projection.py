"""Heist's elements in pixels of the 64x64 frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks import projection
from heist_encoders.tasks.projection import clip_boxes, view_size

__all__ = ["AGENT_HALF_SIZE", "HALF_SIZES", "clip_boxes", "painted_boxes", "view_size"]

HALF_SIZES = np.array([[0.375, 0.23214287]] * 3 + [[0.5, 0.5]] * 3 + [[0.375, 0.25714284]], dtype=np.float32)
"""float32 (7, 2): half width and half height of each element, in cells, in the order of ``ELEMENTS``."""
AGENT_HALF_SIZE = 0.375


def painted_boxes(
    positions: NDArray[np.float32], agents: NDArray[np.float32], distribution_mode: str, world_size: int
) -> NDArray[np.int32]:
    """Pixel boxes of the 7 elements, before they are clipped to the screen.

    Args:
        positions: float32 (N, 7, 2), x and y of each element in cells (y up); NaN where the level has none.
        agents: float32 (N, 2), x and y of the agent in cells; only memory mode, whose camera follows it, needs them.

    Returns:
        int32 (N, 7, 4): x0, y0, x1, y1, half open, y down; all 0 where the position is NaN.
    """
    return projection.painted_boxes(positions, agents, HALF_SIZES, distribution_mode, world_size)
