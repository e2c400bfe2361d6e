"""Maze: find the cheese."""

from __future__ import annotations

from heist_encoders.constants import NUM_MOVES, POLICIES
from heist_encoders.tasks.base import Labeller, Oracle, Task
from heist_encoders.tasks.targets import NextMove, Position, Presence, ProbeTarget

_CELLS_IN_VIEW = {"easy": 15, "hard": 25, "memory": 8}


class MazeTask(Task):
    """The agent steps from cell to cell of a maze without loops until it stands on the cheese."""

    game = "maze"
    elements = ("cheese",)
    policies = POLICIES
    num_moves = NUM_MOVES
    goal = "the cheese"

    def label_columns(self) -> dict[str, str]:
        """Documented in ``maze.labels``."""
        from heist_encoders.tasks.maze.labels import LABEL_COLUMNS

        return LABEL_COLUMNS

    def labeller(self, distribution_mode: str) -> Labeller:
        from heist_encoders.tasks.maze.labels import MazeLabeller

        return MazeLabeller(distribution_mode)

    def oracle(self) -> Oracle:
        from heist_encoders.tasks.maze import solver

        return solver.Oracle()

    def cells_in_view(self, distribution_mode: str) -> int:
        return _CELLS_IN_VIEW[distribution_mode]

    def probe_targets(self) -> tuple[ProbeTarget, ...]:
        return (Presence(self.elements), Position(self.elements), NextMove())
