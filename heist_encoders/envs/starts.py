"""What is done to episodes of training: the options, and the curriculum that moves starts back from the exit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Annotated, TypedDict, TypeGuard

from pydantic import Field, model_validator
from typing_extensions import Self

from heist_encoders.config import Config, one_of
from heist_encoders.constants import GAMES
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.registry import task_of
from heist_encoders.tasks.starts import START_DISTRIBUTIONS, StartStates


class StartOptions(Config):
    """Where episodes of training begin, when they are cut, and what is rewarded on the way. Evaluation ignores them."""

    start_share: float = Field(default=0.0, ge=0, le=1)
    """share of episodes, 0 to 1, that begin at a drawn start instead of the level's own"""

    start_distribution: Annotated[str, one_of(START_DISTRIBUTIONS)] = "uniform"
    """``uniform``: a progress, then one of the cells that can be reached at it; ``balanced``: a stratum that the level
    has, then a progress and cell for it; ``curriculum``: a progress and cell from which a shortest path to the goal
    takes at most a growing bound of steps, and the level's own start once that is no farther"""

    curriculum_bound: int = Field(default=4, ge=1)
    """the curriculum's first bound, in steps from cell to cell"""

    curriculum_threshold: float = Field(default=0.7, gt=0, le=1)
    """success rate at the curriculum's frontier from which on the bound grows by a quarter"""

    curriculum_window: int = Field(default=100, ge=1)
    """episodes of the curriculum's frontier over which the success rate is taken"""

    time_limit: int | None = Field(default=None, ge=1)
    """steps of the environment after which an episode is truncated, at most the game's limit; None: the game's own"""

    shaping: float = Field(default=0.0, ge=0)
    """reward for each cell, parts too, by which a step shortens the way to the goal, and a minus for a longer way:
    potential-based (Ng, Harada, Russell 1999) with discount 1, so that it moves no optimum of undiscounted play"""

    @model_validator(mode="after")
    def _check_drawn(self) -> Self:
        if self.start_distribution != "uniform" and not self.start_share:
            raise ValueError(
                f"start_distribution = {self.start_distribution!r} with start_share = 0 draws no start; "
                "set start_share, 1.0 for all episodes"
            )
        return self

    @property
    def start_options(self) -> StartOptions:
        """These options alone."""
        return StartOptions(**{name: getattr(self, name) for name in StartOptions.model_fields})

    @property
    def reads_states(self) -> bool:
        """Whether the engine's states have a part in the training: what learns so is of class C."""
        return self.start_share > 0 or self.shaping > 0

    @property
    def set_start_options(self) -> dict[str, object]:
        """Those of these options that are not at their defaults."""
        fields = StartOptions.model_fields
        return {name: getattr(self, name) for name in fields if getattr(self, name) != fields[name].default}


def check_starts(options: StartOptions, game: str) -> None:
    """Whether options fit a game.

    Raises:
        ConfigError: for starts drawn in a game whose states are not understood, or a limit beyond the game's own.
    """
    for name in ("start_share", "shaping"):
        if getattr(options, name):
            start_states_of(name, game)
    limit = GAMES[game].time_limit
    if options.time_limit is not None and options.time_limit > limit:
        raise ConfigError(
            f"time_limit = {options.time_limit}: {game} has a limit of {limit} itself, expected 1..{limit}"
        )


def start_states_of(option: str, game: str) -> StartStates:
    """A game's start states, or a ConfigError that names the option that needs them."""
    states = task_of(game).start_states()
    if states is None:
        known = ", ".join(name for name in GAMES if task_of(name).start_states() is not None)
        raise ConfigError(f"{option} with game = {game!r}: expected one of {known}, whose states can be placed")
    return states


class CurriculumState(TypedDict):
    """Where a curriculum stands, as plain values."""

    bound: int
    previous_bound: int
    results: list[bool]
    """The window, oldest first."""


class Curriculum:
    """How far from the exit episodes may begin.

    The frontier is the starts farther away than the bound before this one. Their episodes count in the order in which
    they began: those that end soon are mostly the successes, and would else be counted first.

    Attributes:
        bound: longest path to the exit of a drawn start, in steps from cell to cell.
        previous_bound: the one before; 0 at first.
    """

    def __init__(self, options: StartOptions) -> None:
        self.threshold = options.curriculum_threshold
        self.bound, self.previous_bound = options.curriculum_bound, 0
        self._results: deque[bool] = deque(maxlen=options.curriculum_window)
        self._begun: deque[tuple[int, int]] = deque()  # game and number of the frontier's episodes, oldest first
        self._ended: dict[tuple[int, int], bool] = {}
        self._playing: dict[int, tuple[int, int]] = {}
        self._count = 0

    @property
    def state(self) -> CurriculumState:
        """Where it stands; set it to go on there."""
        return {"bound": self.bound, "previous_bound": self.previous_bound, "results": list(self._results)}

    @state.setter
    def state(self, value: Mapping[str, object]) -> None:
        known = {"bound", "previous_bound", "results"}
        if not isinstance(value, Mapping) or not {"bound"} <= set(value) <= known:
            raise ConfigError(f"curriculum = {value!r}: expected a mapping with bound, and previous_bound and results")
        bound, previous, results = value["bound"], value.get("previous_bound", 0), value.get("results", ())
        if not (_is_whole(bound) and _is_whole(previous) and 0 <= previous < bound):
            raise ConfigError(
                f"curriculum bound = {bound!r}, previous_bound = {previous!r}: expected whole numbers, "
                "0 <= previous_bound < bound"
            )
        if not isinstance(results, list | tuple) or not all(isinstance(result, bool) for result in results):
            raise ConfigError(f"curriculum results = {results!r}: expected a list of True and False")
        self._move(bound, previous)
        self._results.extend(results)

    def begin(self, game: int, distance: int | None) -> None:
        """An episode of a game begins, ``distance`` steps from the exit; None: it does not count.

        One that the game was in and that has not ended is forgotten.
        """
        left = self._playing.pop(game, None)
        if left is not None:
            self._begun.remove(left)
            self._count_ended()
        if distance is not None and distance > self.previous_bound:
            self._count += 1
            self._playing[game] = (game, self._count)
            self._begun.append((game, self._count))

    def end(self, game: int, success: bool) -> None:
        """The episode of a game has ended."""
        episode = self._playing.pop(game, None)
        if episode is not None:
            self._ended[episode] = success
            self._count_ended()

    def _count_ended(self) -> None:
        while self._begun and self._begun[0] in self._ended:
            self._results.append(self._ended.pop(self._begun.popleft()))
            if len(self._results) == self._results.maxlen:
                rate = sum(self._results) / len(self._results)
                if rate >= self.threshold:
                    self._move(self.bound + max(1, self.bound // 4), self.bound)

    def _move(self, bound: int, previous: int) -> None:
        self.bound, self.previous_bound = bound, previous
        for kept in (self._results, self._begun, self._ended, self._playing):
            kept.clear()


def _is_whole(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)
