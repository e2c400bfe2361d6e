"""Draws poses of Heist by strata: each of the 7 elements in view as often as the others, and neither keys nor doors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import VISIBLE
from heist_encoders.engine import Engine
from heist_encoders.errors import DatasetError
from heist_encoders.tasks.base import Part, Rows, Spec
from heist_encoders.tasks.engines import GAMES_AT_ONCE, kept_engine
from heist_encoders.tasks.heist.elements import ELEMENTS, STRATA
from heist_encoders.tasks.heist.labels import Situations, label_situations
from heist_encoders.tasks.heist.levels import LevelBank, present
from heist_encoders.tasks.heist.poses import closed_codes, pose_table
from heist_encoders.tasks.heist.projection import AGENT_HALF_SIZE, HALF_SIZES, clip_boxes, painted_boxes, view_size

_ELEMENT_OF = {stratum: ELEMENTS.index(name) for stratum, name in enumerate(STRATA) if name in ELEMENTS}
"""Stratum -> the element that it shows."""
_EXIT = len(ELEMENTS) - 1
_MAX_ROUNDS = 1000


class Poses(NamedTuple):
    """Agents in levels of a bank: what a frame without background is a function of. All of length N.

    Attributes:
        level: int64, index into the bank.
        progress: int8.
        xy: float32 (N, 2), in cells.
        rotation: float32, radians.
    """

    level: NDArray[np.int64]
    progress: NDArray[np.int8]
    xy: NDArray[np.float32]
    rotation: NDArray[np.float32]


def draw_stratified(spec: Spec, chunk: Part, levels: range, rng: np.random.Generator) -> Rows:
    """A chunk of equally many frames of each stratum. Arguments as in ``Task.draw_stratified``."""
    strata = rng.permutation((chunk.start + np.arange(chunk.rows)) % len(STRATA)).astype(np.int8)
    engine = kept_engine(spec)
    finder = _finder_for(engine, strata, -(-chunk.rows // spec.frames_per_level), levels, rng)
    bank = finder.bank
    poses = draw_poses(finder, strata, rng)
    frames = engine.draw(bank.states(*poses))
    found = Situations(
        seeds=bank.seeds[poses.level],
        num_keys=bank.num_keys[poses.level],
        progress=poses.progress,
        xy=poses.xy,
        rotation=poses.rotation,
        positions=_present_positions(bank, poses),
    )
    labels = label_situations(found, poses.level, bank.ways, strata, spec.distribution_mode, bank.world_size)
    return Rows(frames, labels)


def _finder_for(
    engine: Engine, strata: NDArray[np.int8], count: int, levels: range, rng: np.random.Generator
) -> StratumFinder:
    """Over a bank of at least ``count`` levels in which every stratum of ``strata`` can be found."""
    seeds: list[int] = rng.integers(levels.start, levels.stop, count).tolist()
    bank = LevelBank(engine, seeds)
    wanted = [int(stratum) for stratum in np.unique(strata)]
    while True:
        finder = StratumFinder(bank, engine.distribution_mode)
        if all(finder.holds_somewhere(stratum) for stratum in wanted):
            return finder
        seeds += rng.integers(levels.start, levels.stop, GAMES_AT_ONCE).tolist()
        bank = LevelBank(engine, seeds)


class StratumFinder:
    """Finds the (progress, cell) pairs of a bank's levels in which a stratum may hold.

    "May": the decision falls on the drawn pose, since where the agent stands in its cell moves memory mode's camera.
    """

    def __init__(self, bank: LevelBank, distribution_mode: str) -> None:
        self.bank = bank
        self.distribution_mode = distribution_mode
        self._half_view = view_size(distribution_mode, bank.world_size) / 2
        self._follows_agent = distribution_mode == "memory"
        # bool (L, P, size, size): where the agent may stand at each progress 0 ... P - 1 of a level.
        last = 2 * bank.num_keys
        self._progress = np.arange(int(last.max()) + 1, dtype=np.int8)
        self._reachable = bank.gates[:, None] <= self._progress[:, None, None]
        self._reachable &= (self._progress <= last[:, None])[..., None, None]
        # bool (7, L, P): which elements are there.
        num_keys, progress = (a.ravel() for a in np.broadcast_arrays(bank.num_keys[:, None], self._progress))
        there = present(num_keys, progress).reshape(len(bank), len(self._progress), len(ELEMENTS))
        self._there = (there & ~np.isnan(bank.positions[:, None, :, 0])).transpose(2, 0, 1)
        self._centers = np.arange(bank.world_size, dtype=np.float32) + np.float32(0.5)
        self._found: dict[int, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = {}

    def holds_somewhere(self, stratum: int) -> bool:
        """True if there is a level in which a stratum may hold."""
        return len(self._find(stratum)[0]) > 0

    def pick(
        self, strata: NDArray[np.int8], picks: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
        """Uniformly one of a stratum's levels, and one of its (progress, cell) pairs there.

        Args:
            strata: int8 (N,).
            picks: float64 (N, 2) in [0, 1), one for the level, one for the pair.

        Returns:
            Level int64 (N,), progress int8 (N,), cell x and y int64 (N, 2).
        """
        level, pair = np.empty(len(strata), np.int64), np.empty(len(strata), np.int64)
        for stratum in np.unique(strata).tolist():
            asked = np.flatnonzero(strata == stratum)
            levels, starts, pairs = self._find(stratum)
            chosen = (picks[asked, 0] * len(levels)).astype(np.int64)
            counts = starts[chosen + 1] - starts[chosen]
            level[asked] = levels[chosen]
            pair[asked] = pairs[starts[chosen] + (picks[asked, 1] * counts).astype(np.int64)]
        progress, cell = np.divmod(pair, self.bank.world_size**2)
        y, x = np.divmod(cell, self.bank.world_size)
        return level, progress.astype(np.int8), np.stack([x, y], axis=1)

    def _find(self, stratum: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The levels in which a stratum may hold; where each one's pairs begin and end; the pairs, flat indices into
        (progress, y, x)."""
        stratum = stratum if stratum in _ELEMENT_OF else len(STRATA) - 1
        if stratum not in self._found:
            where = self.where(stratum)
            level, pairs = np.divmod(np.flatnonzero(where), where[0].size)
            levels, starts = np.unique(level, return_index=True)
            self._found[stratum] = (levels, np.append(starts, len(level)), pairs)
        return self._found[stratum]

    def where(self, stratum: int) -> NDArray[np.bool_]:
        """bool (L, P, size, size): at which progress and in which cell the agent may stand for a stratum."""
        if stratum in _ELEMENT_OF:
            return self._reachable & self._seen(_ELEMENT_OF[stratum], 0.5)
        allowed = self._reachable.copy()
        for element in range(_EXIT):
            allowed &= ~self._seen(element, -0.2)
        return allowed

    def _seen(self, element: int, margin: float) -> NDArray[np.bool_]:
        """bool (L, P, size or 1, size or 1): an element is there and, from the centre of the cell, less than half the
        view plus a margin away."""
        there: NDArray[np.bool_] = self._there[element][..., None, None]
        if not self._follows_agent:
            return there
        reach = self._half_view + margin
        x, y = self.bank.positions[:, element].T
        near = (np.abs(self._centers - y[:, None]) < reach)[:, :, None]
        near = near & (np.abs(self._centers - x[:, None]) < reach)[:, None, :]
        seen: NDArray[np.bool_] = there & near[:, None]
        return seen


def draw_poses(finder: StratumFinder, strata: NDArray[np.int8], rng: np.random.Generator) -> Poses:
    """A pose for each stratum: a level, a progress and a cell uniformly, then a stance as agents have it there.

    Poses in which the agent would touch a present key, exit or openable door are drawn again (touching takes it), as
    are those in which the stratum does not hold exactly.
    """
    bank = finder.bank
    table = pose_table(finder.distribution_mode)
    count = len(strata)
    out = Poses(
        level=np.zeros(count, np.int64),
        progress=np.zeros(count, np.int8),
        xy=np.zeros((count, 2), np.float32),
        rotation=np.zeros(count, np.float32),
    )
    pending = np.arange(count)
    for _ in range(_MAX_ROUNDS):
        picks = rng.random((len(pending), 2))
        level, progress, cells = finder.pick(strata[pending], picks)
        codes = closed_codes(
            bank.wall_codes[level, cells[:, 1], cells[:, 0]], cells, bank.positions[level, 3:6],
            bank.num_keys[level], progress,
        )  # fmt: skip
        offsets, rotation = table.draw(codes, rng)
        drawn = Poses(level, progress, cells.astype(np.float32) + offsets, rotation)
        good = _holds(bank, drawn, strata[pending], finder.distribution_mode) & ~touches(bank, drawn)
        found = pending[good]
        out.level[found], out.progress[found] = drawn.level[good], drawn.progress[good]
        out.xy[found], out.rotation[found] = drawn.xy[good], drawn.rotation[good]
        pending = pending[~good]
        if not len(pending):
            return out
    raise DatasetError(
        f"no pose found for {len(pending)} frames in levels {bank.seeds.tolist()}; please report this seed"
    )


def _present(bank: LevelBank, poses: Poses) -> NDArray[np.bool_]:
    there = present(bank.num_keys[poses.level], poses.progress)
    there &= ~np.isnan(bank.positions[poses.level, :, 0])
    return there


def touches(bank: LevelBank, poses: Poses) -> NDArray[np.bool_]:
    """bool (N,): poses in which the agent touches a present key, the exit or a door whose key it holds."""
    there = _present(bank, poses)
    held = poses.progress[:, None] >= 2 * np.arange(3) + 1
    there[:, 3:6] &= held
    apart = np.abs(bank.positions[poses.level] - poses.xy[:, None])
    hit = (apart < HALF_SIZES + np.float32(AGENT_HALF_SIZE)).all(axis=-1)
    touched: NDArray[np.bool_] = (there & hit).any(axis=1)
    return touched


def _present_positions(bank: LevelBank, poses: Poses) -> NDArray[np.float32]:
    """float32 (N, 7, 2): positions of the elements that are present, NaN for the others."""
    return np.where(_present(bank, poses)[..., None], bank.positions[poses.level], np.float32(np.nan))


def _holds(bank: LevelBank, poses: Poses, strata: NDArray[np.int8], distribution_mode: str) -> NDArray[np.bool_]:
    positions = _present_positions(bank, poses)
    _, fraction = clip_boxes(painted_boxes(positions, poses.xy, distribution_mode, bank.world_size))
    good: NDArray[np.bool_] = (fraction[:, :_EXIT] == 0).all(axis=1)
    for stratum, element in _ELEMENT_OF.items():
        asked = strata == stratum
        good[asked] = fraction[asked, element] >= VISIBLE
    return good
