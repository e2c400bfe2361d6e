"""Start states of Heist: every cell that can be reached, at every progress of a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks.heist.elements import STRATA
from heist_encoders.tasks.heist.levels import LevelBank
from heist_encoders.tasks.heist.placing import check_start, from_saved, make_bank, place, stances
from heist_encoders.tasks.heist.state import parse_state
from heist_encoders.tasks.heist.stratified import StratumFinder
from heist_encoders.tasks.heist.ways import target_index
from heist_encoders.tasks.starts import Placed, Situation, StartLevels, StartStates
from heist_encoders.tasks.ways import STEPS

_KEPT_LEVELS = 2_048
"""Levels whose path lengths and directions are kept: some 25 MB in memory mode."""


class HeistStartStates(StartStates):
    """Progress counts keys picked up and doors opened; the goal is the exit."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, int], _WaysOut] = {}

    def levels(self, distribution_mode: str, use_backgrounds: bool, seeds: list[int], distribution: str) -> StartLevels:
        return _Levels(distribution_mode, use_backgrounds, seeds, distribution)

    def distances(
        self, distribution_mode: str, use_backgrounds: bool, seeds: Sequence[int], states: Sequence[bytes]
    ) -> NDArray[np.float64]:
        wanted = sorted({seed for seed in seeds if (distribution_mode, seed) not in self._ways})
        if wanted:
            if len(self._ways) + len(wanted) > _KEPT_LEVELS:
                self._ways.clear()
                wanted = sorted(set(seeds))
            ways = _ways_out(make_bank(distribution_mode, use_backgrounds, wanted))
            self._ways |= {(distribution_mode, seed): way for seed, way in zip(wanted, ways, strict=True)}
        found = np.full(len(seeds), -1.0)
        for index, (seed, blob) in enumerate(zip(seeds, states, strict=True)):
            state, (lengths, directions) = parse_state(blob), self._ways[distribution_mode, seed]
            x, y = float(state.agent[0]), float(state.agent[1])
            at = (state.progress, int(y), int(x))
            if state.progress < len(lengths) and lengths[at] >= 0:
                found[index] = lengths[at] + _rest_of_cell(int(directions[at]), x % 1 - 0.5, y % 1 - 0.5)
        return found

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
        return check_start(distribution_mode, use_backgrounds, level_seed, progress, cell, offset, rotation)

    def saved(self, blob: object, distribution_mode: str, use_backgrounds: bool, own: bytes) -> Placed:
        return from_saved(blob, distribution_mode, use_backgrounds, own)


class _WaysOut(NamedTuple):
    """Of one level.

    Attributes:
        lengths: int16 (P, size, size), see ``LevelBank.path_lengths``.
        directions: int8 (P, size, size), direction codes (see ``tasks.ways.STEPS``) of the cells that have a length.
    """

    lengths: NDArray[np.int16]
    directions: NDArray[np.int8]


def _ways_out(bank: LevelBank) -> list[_WaysOut]:
    lengths = bank.path_lengths
    directions = np.zeros(lengths.shape, np.int8)
    level, progress, y, x = np.nonzero(lengths >= 0)
    target = target_index(bank.num_keys[level], progress.astype(np.int8))
    directions[level, progress, y, x] = bank.ways.directions(level, target, np.stack([x, y], axis=1))
    return [_WaysOut(*of_level) for of_level in zip(lengths, directions, strict=True)]


def _rest_of_cell(direction: int, x: float, y: float) -> float:
    """How much longer the way is than from the middle of the agent's cell: to the cells' middle line, and along it.

    Args:
        direction: code of the way that leads on; 0 at the goal.
        x, y: where the agent stands, seen from the middle of its cell, in cells.
    """
    step_x, step_y = STEPS[direction].tolist()
    return (-x * step_x if step_x else abs(x)) + (-y * step_y if step_y else abs(y))


class _Levels(StartLevels):
    def __init__(self, distribution_mode: str, use_backgrounds: bool, seeds: list[int], distribution: str) -> None:
        self._mode = distribution_mode
        self._bank = make_bank(distribution_mode, use_backgrounds, seeds)
        # bool (14, L, P, size, size): where each stratum may hold.
        self._strata: NDArray[np.bool_] | None = None
        if distribution == "balanced":
            finder = StratumFinder(self._bank, distribution_mode)
            self._strata = np.stack([finder.where(stratum) for stratum in range(len(STRATA))])

    def own_distance(self, row: int) -> int:
        x, y = self._bank.starts[row]
        return int(self._bank.path_lengths[row, 0, y, x])

    def pick(self, row: int, distribution: str, picks: NDArray[np.float64], bound: int) -> Situation:
        lengths = self._bank.path_lengths[row]  # (P, size, size)
        if distribution == "uniform":
            progress = int(picks[0] * (2 * int(self._bank.num_keys[row]) + 1))
            return _one_of(lengths[progress] >= 0, picks[1])._replace(progress=progress)
        if distribution == "curriculum":
            return _one_of((lengths >= 0) & (lengths <= bound), picks[1])
        assert self._strata is not None
        possible = [where for where in self._strata[:, row] if where.any()]
        return _one_of(possible[int(picks[0] * len(possible))] if possible else lengths >= 0, picks[1])

    def place(self, rows: Sequence[int], situations: Sequence[Situation], random: NDArray[np.float64]) -> list[Placed]:
        progress = np.array([situation.progress for situation in situations], np.int8)
        cells = np.array([(situation.x, situation.y) for situation in situations], np.int64)
        return place(self._bank, stances(self._bank, self._mode, np.array(rows), progress, cells, random))


def _one_of(where: NDArray[np.bool_], pick: float) -> Situation:
    """One of the situations that are True in (P, size, size) or, at progress 0, in (size, size)."""
    found = np.flatnonzero(where)
    progress, cell = divmod(int(found[int(pick * len(found))]), where.shape[-2] * where.shape[-1])
    y, x = divmod(cell, where.shape[-1])
    return Situation(progress, x, y)
