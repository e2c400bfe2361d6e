"""From positions in a world of cells to pixels of the 64x64 frame, in float32 as the engine computes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SIZE

MEMORY_VIEW = 8.0
"""Side of the square around the agent that memory mode shows, in cells."""


def view_size(distribution_mode: str, world_size: int) -> float:
    """Side of the visible square in cells: 8 around the agent in memory mode, else the whole world."""
    return MEMORY_VIEW if distribution_mode == "memory" else float(world_size)


def painted_boxes(
    positions: NDArray[np.float32],
    agents: NDArray[np.float32],
    half_sizes: NDArray[np.float32],
    distribution_mode: str,
    world_size: int,
) -> NDArray[np.int32]:
    """Pixel boxes of E elements, before they are clipped to the screen.

    Args:
        positions: float32 (N, E, 2), x and y of the centre of each element in cells (y up); NaN where there is none.
        agents: float32 (N, 2), x and y of the agent in cells; only memory mode, whose camera follows it, needs them.
        half_sizes: float32 (E, 2), half width and half height of each element in cells.

    Returns:
        int32 (N, E, 4): x0, y0, x1, y1, half open, y down; all 0 where the position is NaN.
    """
    view = np.float32(view_size(distribution_mode, world_size))
    unit = np.float32(FRAME_SIZE) / view
    half = view / np.float32(2)
    absent = np.isnan(positions[..., 0])
    where = np.where(absent[..., None], np.float32(0), positions)
    center = agents[:, None, :] if distribution_mode == "memory" else np.float32(half)
    left_top = np.empty_like(where)
    offset = where - center
    left_top[..., 0] = (offset[..., 0] - half_sizes[:, 0] + half) * unit
    left_top[..., 1] = (half - offset[..., 1] - half_sizes[:, 1]) * unit
    size = np.float32(2) * half_sizes * unit
    low = np.floor(left_top + np.float32(0.5))
    high = np.floor(left_top + size + np.float32(0.5))
    boxes: NDArray[np.int32] = np.concatenate([low, high], axis=-1).astype(np.int32)
    boxes[absent] = 0
    return boxes


def clip_boxes(boxes: NDArray[np.int32]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Clip painted boxes to the screen.

    Args:
        boxes: int32 (N, E, 4).

    Returns:
        The part on screen, int16 (N, E, 4), all 0 where nothing of it is; and its share of the whole box,
        float32 (N, E) in [0, 1]: the visible fraction.
    """
    clipped = np.clip(boxes, 0, FRAME_SIZE)
    area = _area(boxes)
    seen = _area(clipped)
    clipped[seen == 0] = 0
    fraction = np.divide(seen, area, out=np.zeros(area.shape, np.float32), where=area > 0, casting="unsafe")
    return clipped.astype(np.int16), fraction.astype(np.float32)


def _area(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
    sides: NDArray[np.int32] = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]
