"""States of Maze: an agent in a maze without loops, and a cheese, which is a cell of the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heist_encoders.errors import EngineError
from heist_encoders.tasks.blob import Blob, split_blob

CHEESE = 2
"""The cell type of the cheese."""


@dataclass(frozen=True)
class MazeState(Blob):
    """A parsed state of Maze. The agent steps from cell to cell: it always stands in the middle of one.

    Attributes:
        maze_size: side of the maze in cells, odd; around it are walls up to ``world_size``.
        world_size: side of the square world in cells: 15 (easy), 25 (hard), 31 (memory).
        cheese: (x, y) of its cell.
    """

    maze_size: int
    world_size: int
    cheese: tuple[int, int]

    @property
    def cell(self) -> tuple[int, int]:
        """(x, y) of the agent's cell."""
        x, y, _ = self.agent
        return int(x), int(y)

    @property
    def reflected(self) -> bool:
        """Whether the agent is drawn mirrored, as after a move to the left. It is never turned."""
        return bool(self.entities[0]["is_reflected"])


def parse_state(blob: bytes) -> MazeState:
    """Read what ``Engine.get_state`` returns for a game of Maze.

    Raises:
        EngineError: if the bytes are not a whole state of Maze.
    """
    parts = split_blob(blob, "maze")
    cheese = np.argwhere(parts.grid == CHEESE)
    if len(parts.tail) != 2 or len(cheese) != 1:
        raise EngineError(f"{len(blob)} bytes that are no state of maze: expected one cheese and two sizes")
    maze_size, world_size = parts.tail.tolist()
    y, x = cheese[0].tolist()
    return MazeState(**vars(parts), maze_size=maze_size, world_size=world_size, cheese=(x, y))
