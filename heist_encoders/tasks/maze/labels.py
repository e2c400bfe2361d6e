"""The labels of Maze, read from the engine's states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.tasks.base import SIDES, Columns, element_columns
from heist_encoders.tasks.maze.solver import MOVES, WayToCheese
from heist_encoders.tasks.maze.state import parse_state
from heist_encoders.tasks.projection import clip_boxes, painted_boxes

ELEMENTS = ("cheese",)
HALF_SIZES = np.array([[0.52, 0.52]], np.float32)
"""float32 (1, 2): of the cheese, in cells. Procgen paints cells of the grid larger by 0.02 on each side."""

LABEL_COLUMNS: dict[str, str] = {
    "level_seed": "int64",
    "agent_x": "float32",  # cells, from the left; always the middle of one
    "agent_y": "float32",  # cells, from below
    "agent_reflected": "bool",  # drawn mirrored, as after a move to the left
    "visible_cheese": "float32",  # share of its painted box on screen
    **{  # the painted box on screen, in pixels, half open, y down; all 0 if nothing of it is on screen
        f"cheese_{side}": "int16"
        for side in SIDES  # walls beside it may cover its outermost row and column
    },
    "oracle_moves": "int32",  # bit a is set if move a is on a shortest path
    "reward": "float32",  # of the step that led to the frame
}


class MazeLabeller:
    """Labels of played frames. See ``tasks.base.Labeller``."""

    def __init__(self, distribution_mode: str) -> None:
        self._mode = distribution_mode
        self._ways = WayToCheese()
        self._rows: list[tuple[int, float, float, bool, int, int, int]] = []
        self._rewards: list[NDArray[np.float32]] = []
        self._world_size = 0

    def add(self, engine: Engine, games: Sequence[int], rewards: NDArray[np.float32]) -> None:
        for game in games:
            state = parse_state(engine.get_state(game))
            x, y, _ = state.agent
            self._rows.append((state.level_seed, x, y, state.reflected, *state.cheese, self._ways.direction(state)))
            self._world_size = state.world_size
        self._rewards.append(rewards.copy())

    def columns(self) -> Columns:
        seeds, x, y, reflected, cheese_x, cheese_y, directions = zip(*self._rows, strict=True)
        agents = np.stack([x, y], axis=1).astype(np.float32)
        cheese = np.stack([cheese_x, cheese_y], axis=1)[:, None].astype(np.float32) + np.float32(0.5)  # (N, 1, 2)
        boxes, fractions = clip_boxes(painted_boxes(cheese, agents, HALF_SIZES, self._mode, self._world_size))
        columns: Columns = {
            "level_seed": np.array(seeds, np.int64),
            "agent_x": agents[:, 0],
            "agent_y": agents[:, 1],
            "agent_reflected": np.array(reflected),
            **element_columns(ELEMENTS, boxes, fractions),
            "oracle_moves": MOVES[list(directions)],
            "reward": np.concatenate(self._rewards),
        }
        return {name: np.ascontiguousarray(column) for name, column in columns.items()}
