"""Where episodes of training begin: the options, and the curriculum that moves starts back from the exit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from typing_extensions import Self

from heist_encoders.config import Config
from heist_encoders.elements import TIME_LIMIT
from heist_encoders.errors import ConfigError

TASKS_WITH_STATES = ("heist",)
"""Games that can be put into a situation: their states are understood."""


class StartOptions(Config):
    """Options of an environment for training. Evaluation ignores them.

    Attributes:
        start_share: share of episodes, 0 to 1, that begin at a drawn start instead of the level's own.
        start_distribution: ``uniform``: a progress, then one of the cells that can be reached at it; ``balanced``: one
            of the dataset's 14 cases that the level has, then a progress and cell for it; ``curriculum``: a progress
            and cell from which a shortest path to the exit takes at most ``bound`` steps, and the level's own start
            once that is no farther.
        curriculum_bound: the first bound, in steps from cell to cell.
        curriculum_threshold: success rate at the frontier from which on the bound grows by a quarter.
        curriculum_window: episodes of the frontier over which the success rate is taken.
        time_limit: steps after which an episode is truncated, at most the game's own 1,000; None: the game's own.
    """

    start_share: float = pydantic.Field(default=0.0, ge=0, le=1)
    start_distribution: Literal["uniform", "balanced", "curriculum"] = "uniform"
    curriculum_bound: int = pydantic.Field(default=4, ge=1)
    curriculum_threshold: float = pydantic.Field(default=0.7, gt=0, le=1)
    curriculum_window: int = pydantic.Field(default=100, ge=1)
    time_limit: int | None = pydantic.Field(default=None, ge=1, le=TIME_LIMIT)

    @pydantic.model_validator(mode="after")
    def _is_used(self) -> Self:
        if self.start_distribution != "uniform" and not self.start_share:
            raise ValueError(
                f"start_distribution = {self.start_distribution!r} with start_share = 0 draws no start; "
                "set start_share, 1.0 for all episodes"
            )
        return self


def start_options(given: Mapping[str, Any], game: str) -> StartOptions:
    """Options checked, for a game.

    Raises:
        ConfigError: for an unknown or unfit option, or starts drawn in a game whose states are not understood.
    """
    options = StartOptions.from_dict(dict(given))
    if options.start_share:
        check_game_has_states("start_share", game)
    return options


def check_game_has_states(option: str, game: str) -> None:
    """ConfigError unless the game can be put into a situation."""
    if game not in TASKS_WITH_STATES:
        raise ConfigError(
            f"{option} with game = {game!r}: expected one of {', '.join(TASKS_WITH_STATES)}, whose states can be placed"
        )


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
    def state(self) -> dict[str, Any]:
        """``bound``, ``previous_bound`` and ``results`` (the window, oldest first), plain values."""
        return {"bound": self.bound, "previous_bound": self.previous_bound, "results": list(self._results)}

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        known = {"bound", "previous_bound", "results"}
        if not isinstance(value, Mapping) or not {"bound"} <= set(value) <= known:
            raise ConfigError(f"curriculum = {value!r}: expected a mapping with bound, and previous_bound and results")
        bound, previous, results = value["bound"], value.get("previous_bound", 0), value.get("results", ())
        whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (bound, previous))
        if not whole or not 0 <= previous < bound:
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
