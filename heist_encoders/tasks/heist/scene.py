"""Semantic maps: for each pixel of a frame the class of what is painted there, worked out from the labels alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SIZE
from heist_encoders.tasks.heist.elements import CLASSES, COLORS, ELEMENTS
from heist_encoders.tasks.heist.generation import WORLD_SIZES, make_levels
from heist_encoders.tasks.heist.levels import present
from heist_encoders.tasks.heist.projection import AGENT_HALF_SIZE, view_size
from heist_encoders.tasks.targets import Labels

FLOOR, WALL, AGENT = 0, 1, 2

_FIRST_ELEMENT = 3
_FIRST_RING = _FIRST_ELEMENT + len(ELEMENTS)
_RING_BOXES = ((60, 2, 63, 6), (57, 2, 59, 6), (53, 2, 55, 6))
"""x0, y0, x1, y1 in pixels, half open, of the blue, green and red key on the ring."""
_LEVELS_AT_ONCE = 4096
_MARGIN = 5
_WALL_OVERLAP = np.float32(0.02)
"""How far the engine paints a wall beyond its cell on each side, in cells (found by experiment)."""


class SemanticMaps:
    """Semantic maps of the frames that a table of labels describes. ``len()`` counts the frames.

    A pixel has the class of the topmost thing whose painted rectangle it lies in. Sprites have transparent corners: in
    a key's rectangle of 5 x 4 pixels some show the floor, and still count as the key's.

    Args:
        labels: columns (N,) of a dataset of Heist, see ``label_columns``; a DataFrame will do.
        distribution_mode: ``easy``, ``hard`` or ``memory``.
    """

    classes = CLASSES

    def __init__(self, labels: Labels, distribution_mode: str) -> None:
        self._mode = distribution_mode
        seeds, self._level = np.unique(np.asarray(labels["level_seed"]), return_inverse=True)
        size = WORLD_SIZES[distribution_mode]
        parts = [
            make_levels(distribution_mode, seeds[start : start + _LEVELS_AT_ONCE]).free
            for start in range(0, len(seeds), _LEVELS_AT_ONCE)
        ]
        free = np.concatenate(parts) if parts else np.zeros((0, size, size), np.bool_)
        # Beyond the world all is wall; the margin is half a view and the cell that sticks into it.
        margin = _MARGIN if distribution_mode == "memory" else 1
        pad = ((0, 0), (margin, margin), (margin, margin))
        self._walls = np.pad(~free, pad, constant_values=True).astype(np.uint8)  # (L, side, side), [y, x]
        xy = np.stack([np.asarray(labels["agent_x"]), np.asarray(labels["agent_y"])], axis=1).astype(np.float32)
        view = np.float32(view_size(distribution_mode, size))
        self._unit = np.float32(FRAME_SIZE) / view
        self._xy, self._margin = xy, np.float32(margin)
        self._corner = xy - view / 2 if distribution_mode == "memory" else np.zeros_like(xy)  # lower left, in cells
        self._view = view
        # Middles of the pixels from the left, counted in cells of the padded walls.
        self._pixels = (np.arange(FRAME_SIZE, dtype=np.float32) + np.float32(0.5)) / self._unit + np.float32(margin)
        boxes = [[np.asarray(labels[f"{e}_{side}"]) for side in ("x0", "y0", "x1", "y1")] for e in ELEMENTS]
        self._boxes = np.array(boxes, np.int16).transpose(2, 0, 1)  # (N, 7, 4)
        self._rotation = np.asarray(labels["agent_rotation"])
        self._held = np.stack([np.asarray(labels[f"held_{color}"]) for color in COLORS], axis=1).astype(np.bool_)

    def __len__(self) -> int:
        return len(self._level)

    def pick(self, rows: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Maps of some frames, uint8 (B, 64, 64), ``[frame, y, x]`` with y down: indices into ``classes``."""
        corner = self._corner[rows]
        column, line = corner[:, :1] + self._pixels, corner[:, 1:] + self._pixels[::-1]  # (B, 64), in cells
        maps = np.empty((len(corner), FRAME_SIZE, FRAME_SIZE), np.uint8)
        for image, walls, y, x in zip(
            maps, self._walls[self._level[rows]], _overlap(line), _overlap(column), strict=True
        ):
            lines = walls.take(y[0], 0) | walls.take(y[1], 0)  # (64, side)
            np.bitwise_or(lines.take(x[0], 1), lines.take(x[1], 1), out=image)  # FLOOR is 0 and WALL is 1
        boxes, held = self._boxes[rows], self._held[rows]
        for frame, element in np.argwhere(boxes[..., 2] > 0).tolist():
            x0, y0, x1, y1 = boxes[frame, element].tolist()
            maps[frame, y0:y1, x0:x1] = _FIRST_ELEMENT + element
        maps[self._agents(rows)] = AGENT
        for color, (x0, y0, x1, y1) in enumerate(_RING_BOXES):
            maps[held[:, color], y0:y1, x0:x1] = _FIRST_RING + color
        return maps

    def _agents(self, rows: NDArray[np.int64] | slice) -> NDArray[np.bool_]:
        """bool (B, 64, 64): pixels that the agent's square touches, a diamond if turned by 45 degrees."""
        x, y, rotation = self._xy[rows, 0, None], self._xy[rows, 1, None], self._rotation[rows]
        dx = np.abs(self._corner[rows, :1] + self._pixels - self._margin - x)  # (B, 64), in cells
        dy = np.abs(self._corner[rows, 1:] + self._pixels[::-1] - self._margin - y)
        half = np.float32(AGENT_HALF_SIZE)
        square: NDArray[np.bool_] = (dy <= half)[:, :, None] & (dx <= half)[:, None, :]
        diagonal = np.abs(np.sin(2 * rotation)) > 0.5
        if diagonal.any():
            sum_ = dy[diagonal, :, None] + dx[diagonal, None, :]
            square[diagonal] = sum_ <= half * np.float32(2**0.5) + np.float32(0.5) / self._unit
        return square


def _overlap(places: NDArray[np.float32]) -> NDArray[np.int64]:
    """The two cells whose walls may show at places float32 (B, 64), in cells: int64 (B, 2, 64), most often the same."""
    cells: NDArray[np.int64] = np.stack(
        [np.ceil(places - _WALL_OVERLAP) - 1, np.ceil(places + _WALL_OVERLAP) - 1], axis=1
    ).astype(np.int64)
    return cells


def true_state(labels: Labels, distribution_mode: str, *, places: bool = True) -> NDArray[np.float32]:
    """A lossless encoding of labelled frames that show the whole maze.

    Args:
        labels: columns (N,) of a dataset of Heist, see ``label_columns``; a DataFrame will do.
        distribution_mode: ``easy`` or ``hard``.
        places: also tell where in its cell a thing is, which the frame shows and no move depends on.

    Returns:
        float32 (N, 16 or 14, cells, cells), ``[frame, channel, y, x]`` with y down as in the frame: walls, agent, its
        place in its cell (x and y, -2 to 2, right and up, the same everywhere), 3 keys, 3 doors, exit, 3 keys held (the
        same everywhere); with ``places`` that of a key, door or exit (x and y, as the agent's, in this cell only).
    """
    seeds, level = np.unique(np.asarray(labels["level_seed"]), return_inverse=True)
    parts = [
        make_levels(distribution_mode, seeds[start : start + _LEVELS_AT_ONCE])
        for start in range(0, len(seeds), _LEVELS_AT_ONCE)
    ]
    free = np.concatenate([part.free for part in parts])
    positions = np.concatenate([part.positions for part in parts])[level]
    num_keys = np.concatenate([part.num_keys for part in parts])[level]
    rows, side = np.arange(len(level)), free.shape[-1]
    state = np.zeros((len(level), 16, side, side), np.float32)
    state[:, 0] = ~free[level]
    xy = np.stack([np.asarray(labels["agent_x"]), np.asarray(labels["agent_y"])], axis=1)
    cells = np.floor(xy).astype(np.int64)
    state[rows, 1, cells[:, 1], cells[:, 0]] = 1
    state[:, 2:4] = (4 * (xy - cells - 0.5))[:, :, None, None]
    there = present(num_keys, np.asarray(labels["progress"])) & ~np.isnan(positions[:, :, 0])
    frame, element = np.nonzero(there)
    place = positions[frame, element]
    x, y = place.astype(np.int64).T
    state[frame, 4 + element, y, x] = 1
    state[frame, 14, y, x], state[frame, 15, y, x] = 4 * (place - np.floor(place) - 0.5).T
    for color, name in enumerate(COLORS):
        state[:, 11 + color] = np.asarray(labels[f"held_{name}"])[:, None, None]
    return np.ascontiguousarray(state[:, : 16 if places else 14, ::-1])
