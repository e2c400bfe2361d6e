"""What the package knows of a game: a task. A new one is a subclass in a module of its own, named in ``registry``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import BALANCES, GAMES, NUM_ACTIONS, POLICIES
from heist_encoders.engine import Engine
from heist_encoders.errors import DatasetError
from heist_encoders.semantic import SemanticMaps
from heist_encoders.tasks.starts import StartStates
from heist_encoders.tasks.targets import Labels, ProbeTarget

Columns = dict[str, NDArray[np.generic]]
"""Label columns: name -> array (N,)."""

STRATUM = "case"
"""The column with a frame's stratum, an index into ``Task.strata``; -1 where frames were not drawn by strata."""
SIDES = ("x0", "y0", "x1", "y1")
"""The sides of a box: pixels, half open, y down."""


class Rows(NamedTuple):
    """Frames uint8 (N, 64, 64, 3) and their label columns, each (N,)."""

    frames: NDArray[np.uint8]
    labels: Columns


class Spec(Protocol):
    """What a task reads of a dataset's spec."""

    @property
    def game(self) -> str: ...
    @property
    def distribution_mode(self) -> str: ...
    @property
    def use_backgrounds(self) -> bool: ...
    @property
    def frames_per_level(self) -> int: ...


class Part(Protocol):
    """What a task reads of a chunk: the number of its first frame in the dataset, and how many frames it has."""

    @property
    def start(self) -> int: ...
    @property
    def rows(self) -> int: ...


class Oracle(Protocol):
    """A scripted policy that reads the game's state."""

    def action(self, blob: bytes) -> int:
        """The next action, 0..14, from what ``Engine.get_state`` returns."""


class Labeller(Protocol):
    """Collects what is needed of played frames, then makes all their labels at once."""

    def add(self, engine: Engine, games: Sequence[int], rewards: NDArray[np.float32]) -> None:
        """Take down the frames that some games of an engine show now.

        Args:
            engine: the games.
            games: indices, G of them.
            rewards: float32 (G,), of the step that led to these frames.
        """

    def columns(self) -> Columns:
        """The labels of all that was added, in that order: the columns of ``Task.label_columns``."""


class Task(ABC):
    """All that the package knows of one game. Everything else is generic.

    Attributes:
        game: its name in Procgen.
        classes: of the semantic map, in the order of their numbers; empty if there is no such map.
        elements: things whose pixel boxes and visible fractions are among the labels; may be empty.
        strata: names of the equally likely strata of the sampling strategy ``elements``; empty without it.
        strategies: names of the sampling strategies that a dataset of this game can have.
        policies: names of the scripted policies that can play it for the sampling strategy ``natural``.
        default_policy: the one where none is named.
        default_mode: the distribution mode where none is named.
        num_moves: how many of Procgen's 15 actions matter, the first ones.
        goal: what completes a level, in words; empty if there is none worth a name.
    """

    game: str
    classes: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    strategies: tuple[str, ...] = tuple(name for name in BALANCES if name != "elements")
    policies: tuple[str, ...] = POLICIES[:1]
    default_policy: str = POLICIES[0]
    default_mode: str = "hard"
    num_moves: int = NUM_ACTIONS
    goal: str = ""

    @property
    def modes(self) -> tuple[str, ...]:
        """Its distribution modes."""
        return GAMES[self.game].modes

    @property
    def strata_groups(self) -> Mapping[str, tuple[int, ...]]:
        """Strata that are shown as one, in words -> their indices. By default each is shown by itself."""
        return {name: (index,) for index, name in enumerate(self.strata)}

    @abstractmethod
    def label_columns(self) -> dict[str, str]:
        """The label columns of a dataset, in their order: name -> numpy dtype."""

    @abstractmethod
    def labeller(self, distribution_mode: str) -> Labeller:
        """A labeller of played frames of a distribution mode."""

    def label(self, engine: Engine, games: Sequence[int], rewards: NDArray[np.float32]) -> Columns:
        """The labels of the frames that some games of an engine show now; arguments as in ``Labeller.add``."""
        labeller = self.labeller(engine.distribution_mode)
        labeller.add(engine, games, rewards)
        return labeller.columns()

    def draw_stratified(self, spec: Spec, chunk: Part, levels: range, rng: np.random.Generator) -> Rows:
        """The rows of a chunk under the sampling strategy ``elements``, the same on every machine.

        Args:
            spec: the dataset's.
            chunk: which frames to draw.
            levels: level seeds to draw from.
            rng: source of all that is drawn.

        Raises:
            DatasetError: if the game has no such strategy.
        """
        raise DatasetError(f"{self.game} has no sampling strategy 'elements'; use one of: {', '.join(self.strategies)}")

    def oracle(self) -> Oracle | None:
        """A policy that solves every level; None if there is none."""
        return None

    def level_group(self, engine: Engine, index: int) -> int | None:
        """A number by which the results of levels are grouped (keys in the level, say), of the level that game
        ``index`` has just opened; None if there is none."""
        return None

    def start_states(self) -> StartStates | None:
        """How games are put into situations of a level; None if the game's states are not understood that far."""
        return None

    def cells_in_view(self, distribution_mode: str) -> int | None:
        """Cells of the world along a side of the frame; None if the world has no cells of fixed size in the frame."""
        return None

    def semantic_maps(self, labels: Labels, distribution_mode: str) -> SemanticMaps:
        """Semantic maps of labelled frames.

        Args:
            labels: label columns, as a pandas frame or a mapping of arrays (N,).
            distribution_mode: of the frames.

        Raises:
            DatasetError: if the game has none.
        """
        raise DatasetError(f"{self.game} has no semantic map; use a dataset of a game that has one")

    def true_state(self, labels: Labels, distribution_mode: str, *, places: bool = True) -> NDArray[np.float32] | None:
        """A lossless encoding of labelled frames: what is where, cell by cell. The ceiling of what a probe can read.

        Args:
            labels: label columns, as a pandas frame or a mapping of arrays (N,).
            distribution_mode: of the frames.
            places: also where in its cell a thing is, if the game has such places.

        Returns:
            float32 (N, C, cells, cells); None where frames show too little of the state, or the game has none.
        """
        return None

    def probe_targets(self) -> tuple[ProbeTarget, ...]:
        """What can be read from a frame of this game: targets of probes. May be empty."""
        return ()

    def check_elements(self, what: str) -> None:
        """Raise DatasetError if the labels have no elements; ``what`` says what needs them."""
        if not self.elements:
            raise DatasetError(f"{self.game} has no {what}: its labels name no elements")


def box_columns(elements: Sequence[str]) -> list[str]:
    """Names of the columns that hold the boxes of elements, four each."""
    return [f"{element}_{side}" for element in elements for side in SIDES]


def element_columns(elements: Sequence[str], boxes: NDArray[np.int16], fractions: NDArray[np.float32]) -> Columns:
    """Boxes int16 (N, E, 4) and visible fractions float32 (N, E) as label columns."""
    columns: Columns = {f"visible_{name}": fractions[:, i] for i, name in enumerate(elements)}
    return columns | dict(zip(box_columns(elements), boxes.reshape(len(boxes), -1).T, strict=True))
