"""Which level, and where in it, every episode begins: what the single and the vector environment share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.envs.info import Info
from heist_encoders.envs.options import EnvOptions
from heist_encoders.envs.starts import Curriculum, CurriculumState, start_states_of
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.starts import NUM_PICKS, TRIES, Placed, Situation, StartLevels

_AHEAD = 256
"""Levels worked out at once, over all games: one alone takes ten times as long."""
_STREAM = 0x57A27


class _Entry(NamedTuple):
    """A coming episode: its level, and random numbers for its start (None: the level's own)."""

    level_seed: int
    picks: NDArray[np.float64] | None
    levels: StartLevels | None = None
    row: int = 0


class Openings:
    """Draws the levels of episodes and, if the options say so, their starts.

    A game has two streams: the levels' (the environment's) and the starts', which follows from the same seed. So the
    levels are those that are played without drawn starts, and the streams of a game do not depend on other games.

    Args:
        num: number of games.
        options: of the environment.
        draw_level: draws a level from a stream.
    """

    def __init__(self, num: int, options: EnvOptions, draw_level: Callable[[np.random.Generator], int]) -> None:
        self._options = options
        self._draw_level = draw_level
        starts = options.starts
        self.curriculum = Curriculum(starts) if starts.start_distribution == "curriculum" else None
        self._ahead = max(2, min(16, _AHEAD // num))
        self._streams = [np.random.default_rng() for _ in range(num)]
        self._queues: list[deque[_Entry]] = [deque() for _ in range(num)]

    def reseed(self, game: int, seed: int) -> None:
        """Start the stream of a game's starts anew, and forget the levels that were drawn ahead."""
        self._streams[game] = np.random.default_rng([seed, _STREAM])
        self._queues[game].clear()

    def next(
        self, games: Iterable[int], streams: Sequence[np.random.Generator]
    ) -> tuple[dict[int, int], dict[int, Placed]]:
        """The next episodes of games: game -> level seed, and the states of those that begin elsewhere.

        Args:
            games: which.
            streams: of the levels, of all games.
        """
        games = list(games)
        if not self._options.starts.start_share:
            return {game: self._draw_level(streams[game]) for game in games}, {}
        if not all(self._queues[game] for game in games):
            self._refill(streams)
        entries = {game: self._queues[game].popleft() for game in games}
        placed = self._place({game: entry for game, entry in entries.items() if entry.picks is not None})
        if self.curriculum is not None:
            for game in games:
                if game not in placed:
                    self.curriculum.begin(game, self._own_distance(entries[game]))
                else:
                    self.curriculum.begin(game, placed[game].start["distance"])
        return {game: entry.level_seed for game, entry in entries.items()}, placed

    def begin_elsewhere(self, games: Iterable[int]) -> None:
        """Episodes of games begin where the caller wants: they do not count for the curriculum."""
        if self.curriculum is not None:
            for game in games:
                self.curriculum.begin(game, None)

    def end(self, ended: NDArray[np.bool_], success: NDArray[np.bool_]) -> None:
        """Episodes have ended; bool (N,) each."""
        if self.curriculum is not None:
            for game in np.flatnonzero(ended).tolist():
                self.curriculum.end(game, bool(success[game]))

    @property
    def curriculum_state(self) -> CurriculumState | None:
        """``Curriculum.state``, None without a curriculum."""
        return None if self.curriculum is None else self.curriculum.state

    @curriculum_state.setter
    def curriculum_state(self, state: Mapping[str, object]) -> None:
        if self.curriculum is None:
            raise ConfigError("no curriculum to set; make the environment with start_distribution='curriculum'")
        self.curriculum.state = state

    def info(self, start: Placed | None) -> Info:
        """What the info of a reset says of one game's start."""
        said: Info = {} if start is None else {"start": start.start}
        return said if self.curriculum is None else said | {"curriculum_bound": self.curriculum.bound}

    def infos(self, placed: Mapping[int, Placed], opened: NDArray[np.bool_]) -> Info:
        """The same for all games, as gymnasium puts infos together: absent if no game has them, else with masks.

        Args:
            placed: games that were put into a state.
            opened: bool (N,), games in which an episode begins.
        """
        said: Info = {}
        if placed:
            begun = np.zeros(len(opened), np.bool_)
            begun[list(placed)] = True
            start: dict[str, NDArray[np.int64]] = {
                "progress": np.zeros(len(opened), np.int64),
                "cell": np.zeros((len(opened), 2), np.int64),
                "distance": np.zeros(len(opened), np.int64),
            }
            for game, its in placed.items():
                start["progress"][game], start["cell"][game] = its.start["progress"], its.start["cell"]
                start["distance"][game] = its.start["distance"]
            masks = {f"_{name}": begun.copy() for name in start}
            said |= {"start": start | masks, "_start": begun}
        if self.curriculum is not None and opened.any():
            said |= {"curriculum_bound": np.where(opened, self.curriculum.bound, 0), "_curriculum_bound": opened.copy()}
        return said

    def _refill(self, streams: Sequence[np.random.Generator]) -> None:
        starts = self._options.starts
        seeds: list[int] = []
        drawn: list[tuple[int, int, NDArray[np.float64] | None, int]] = []
        for game, queue in enumerate(self._queues):
            random = self._streams[game]
            for _ in range(self._ahead - len(queue)):
                level = self._draw_level(streams[game])
                picks = random.random(1 + NUM_PICKS + TRIES)
                if picks[0] < starts.start_share:
                    drawn.append((game, level, picks[1:], len(seeds)))
                    seeds.append(level)
                else:
                    drawn.append((game, level, None, 0))
        levels: StartLevels | None = None
        if seeds:
            options = self._options
            levels = start_states_of("start_share", options.game).levels(
                options.distribution_mode, options.use_backgrounds, seeds, starts.start_distribution
            )
        for game, level, numbers, row in drawn:
            self._queues[game].append(_Entry(level, numbers, None if numbers is None else levels, row))

    def _place(self, entries: Mapping[int, _Entry]) -> dict[int, Placed]:
        """Those whose start is not the level's own, in one go for levels that were worked out together."""
        together: dict[int, list[tuple[int, _Entry, Situation]]] = {}
        for game, entry in entries.items():
            situation = self._pick(entry)
            if situation is not None:
                together.setdefault(id(entry.levels), []).append((game, entry, situation))
        placed: dict[int, Placed] = {}
        for stack in together.values():
            games, members, situations = zip(*stack, strict=True)
            random = np.stack([entry.picks[NUM_PICKS:] for entry in members])
            states = members[0].levels.place([entry.row for entry in members], situations, random)
            placed |= dict(zip(games, states, strict=True))
        return placed

    def _pick(self, entry: _Entry) -> Situation | None:
        """None for the level's own start."""
        assert entry.levels is not None
        assert entry.picks is not None
        bound = 0
        if self.curriculum is not None:
            bound = self.curriculum.bound
            if entry.levels.own_distance(entry.row) <= bound:
                return None
        distribution = self._options.starts.start_distribution
        return entry.levels.pick(entry.row, distribution, entry.picks[:NUM_PICKS], bound)

    def _own_distance(self, entry: _Entry) -> int | None:
        """Steps from the level's own start to the goal; None for episodes that the curriculum has no say in."""
        return None if entry.levels is None else entry.levels.own_distance(entry.row)
