"""Start states: how a task says from where in a level an episode can begin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import EngineState

START_DISTRIBUTIONS = ("uniform", "balanced", "curriculum")
"""From which situations of a level starts are drawn, see ``StartLevels.pick``."""
NUM_PICKS = 2
"""Random numbers that a situation is picked with."""
TRIES = 8
"""Random numbers that say where in its cell an agent stands: tries, until it touches nothing."""


class Start(TypedDict):
    """Where an episode begins, for ``info``."""

    progress: int
    """How far the agent has come."""
    cell: NDArray[np.int64]
    """(2,), x and y."""
    distance: int
    """To the goal in steps from cell to cell; -1 where it is unknown."""


class Placed(NamedTuple):
    """A state to begin an episode at.

    Attributes:
        state: for ``Engine.place``.
        level_seed: its level.
        steps: made already, of the game's time limit.
        start: for ``info``.
    """

    state: EngineState
    level_seed: int
    steps: int
    start: Start


class Situation(NamedTuple):
    """How far an agent has come in a level, and the cell that it is in; (0, 0) is the lower left one."""

    progress: int
    x: int
    y: int


class StartLevels(ABC):
    """Levels that were worked out together. A row is the index of one."""

    @abstractmethod
    def own_distance(self, row: int) -> int:
        """Steps from cell to cell from the level's own start to the goal."""

    @abstractmethod
    def pick(self, row: int, distribution: str, picks: NDArray[np.float64], bound: int) -> Situation:
        """A situation of a level.

        Args:
            row: which level.
            distribution: ``uniform``: a progress, then a cell that can be reached at it; ``balanced``: a stratum that
                the level has, then a progress and cell for it; ``curriculum``: a progress and cell that are at most
                ``bound`` steps from the goal.
            picks: float64 (2,) in [0, 1).
            bound: only for ``curriculum``.
        """

    @abstractmethod
    def place(self, rows: Sequence[int], situations: Sequence[Situation], random: NDArray[np.float64]) -> list[Placed]:
        """The states of situations, in which agents stand in their cells as played agents do.

        Args:
            rows: the level of each, N of them.
            situations: N of them.
            random: float64 (N, 8) in [0, 1).
        """


class StartStates(ABC):
    """What a task knows of its game's states: enough to put a game into one."""

    @abstractmethod
    def levels(self, distribution_mode: str, use_backgrounds: bool, seeds: list[int], distribution: str) -> StartLevels:
        """The levels of seeds, ready for ``pick`` from a distribution."""

    @abstractmethod
    def distances(
        self, distribution_mode: str, use_backgrounds: bool, seeds: Sequence[int], states: Sequence[bytes]
    ) -> NDArray[np.float64]:
        """Length of a shortest way from where games stand to the goal, in cells, along the middle lines of the cells.

        Args:
            distribution_mode: of the levels.
            use_backgrounds: of the levels.
            seeds: the level of each, N of them.
            states: N of them, of ``Engine.get_state``.

        Returns:
            float64 (N,), continuous in the agent's position but where it picks up a key or opens a door; whole in the
            middle of a cell; -1 where it is unknown.
        """

    @abstractmethod
    def situation(
        self,
        distribution_mode: str,
        use_backgrounds: bool,
        level_seed: int,
        progress: object,
        cell: object,
        offset: object = (0.5, 0.5),
        rotation: object = 0.0,
    ) -> Placed:
        """The state of a situation that a caller asks for.

        Args:
            distribution_mode: of the level.
            use_backgrounds: of the level.
            level_seed: of the level.
            progress: how far the agent has come, from 0.
            cell: x and y of the agent's cell.
            offset: position in the cell, [0, 1).
            rotation: of the agent, radians.

        Raises:
            ConfigError: in one line, if there is no such situation.
        """

    @abstractmethod
    def saved(self, blob: object, distribution_mode: str, use_backgrounds: bool, own: bytes) -> Placed:
        """A saved state, checked.

        Args:
            blob: what ``get_state`` of an environment returned.
            distribution_mode: of the game that is to be put into it.
            use_backgrounds: of the same game.
            own: that game's state now.

        Raises:
            EngineError: in one line, if it is anything else.
        """
