"""Situations of Heist's levels as states that a game can be played on from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine, EngineState
from heist_encoders.errors import ConfigError
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.tasks.heist.levels import UNREACHABLE, LevelBank, present
from heist_encoders.tasks.heist.poses import closed_codes, pose_table
from heist_encoders.tasks.heist.projection import AGENT_HALF_SIZE
from heist_encoders.tasks.heist.saved import check_saved
from heist_encoders.tasks.heist.state import SPACE, parse_state
from heist_encoders.tasks.heist.stratified import Poses, touches
from heist_encoders.tasks.starts import Placed, Start


def make_bank(distribution_mode: str, use_backgrounds: bool, seeds: list[int]) -> LevelBank:
    """The levels of seeds, without a look at the games that are being played."""
    return LevelBank(_scratch(distribution_mode, use_backgrounds), seeds)


@lru_cache(maxsize=6)
def _scratch(distribution_mode: str, use_backgrounds: bool) -> Engine:
    """A game that ``LevelBank`` takes its template from."""
    return Engine(1, distribution_mode=distribution_mode, use_backgrounds=use_backgrounds)


def place(bank: LevelBank, poses: Poses) -> list[Placed]:
    """The states of poses that are known to be possible."""
    states = bank.states(*poses)
    cells = np.floor(poses.xy).astype(np.int64)
    distances = bank.path_lengths[poses.level, poses.progress, cells[:, 1], cells[:, 0]].tolist()
    return [
        Placed(EngineState(state.tobytes()), seed, 0, Start(progress=progress, cell=cell, distance=distance))
        for state, seed, progress, cell, distance in zip(
            states, bank.seeds[poses.level].tolist(), poses.progress.tolist(), cells, distances, strict=True
        )
    ]


def from_saved(blob: object, distribution_mode: str, use_backgrounds: bool, own: bytes) -> Placed:
    """A saved state, checked.

    Args:
        blob: what ``get_state`` of an environment returned.
        distribution_mode, use_backgrounds: of the game that is to be put into it.
        own: that game's state now.

    Raises:
        EngineError: in one line, if it is anything else.
    """
    saved = check_saved(blob, own)
    state = parse_state(saved.state)
    bank = make_bank(distribution_mode, use_backgrounds, [saved.level_seed])
    progress, (x, y) = state.progress, (int(state.agent[0]), int(state.agent[1]))
    known = np.array_equal(state.grid == SPACE, bank.free[0]) and progress < bank.path_lengths.shape[1]
    distance = int(bank.path_lengths[0, progress, y, x]) if known else -1
    start = Start(progress=progress, cell=np.array([x, y]), distance=distance)
    return Placed(saved.state, saved.level_seed, saved.steps, start)


def stances(
    bank: LevelBank,
    distribution_mode: str,
    level: NDArray[np.int64],
    progress: NDArray[np.int8],
    cells: NDArray[np.int64],
    random: NDArray[np.float64],
) -> Poses:
    """Where in their cells, and how turned, played agents are found, as in datasets; the middle where all tries touch.

    Args:
        bank: the levels.
        distribution_mode: theirs.
        level, progress, cells: (N,), (N,), (N, 2), reachable.
        random: float64 (N, 8) in [0, 1).
    """
    codes = closed_codes(
        bank.wall_codes[level, cells[:, 1], cells[:, 0]], cells, bank.positions[level, 3:6], bank.num_keys[level],
        progress,
    )  # fmt: skip
    table = pose_table(distribution_mode)
    poses = Poses(level, progress, cells.astype(np.float32) + np.float32(0.5), np.zeros(len(level), np.float32))
    pending = np.arange(len(level))
    for attempt in range(random.shape[1]):
        offsets, rotation = table.at(codes[pending], random[pending, attempt])
        drawn = Poses(level[pending], progress[pending], cells[pending].astype(np.float32) + offsets, rotation)
        good = ~touches(bank, drawn)
        poses.xy[pending[good]], poses.rotation[pending[good]] = drawn.xy[good], rotation[good]
        pending = pending[~good]
        if not len(pending):
            break
    return poses


def check_start(
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
        distribution_mode, use_backgrounds, level_seed: the level.
        progress: events done, 0 to twice the number of the level's keys.
        cell: x and y of the agent's cell; (0, 0) is the lower left corner of the world.
        offset: position in the cell, [0, 1).
        rotation: of the agent, radians.

    Raises:
        ConfigError: in one line, if there is no such situation, or the agent would touch something in it.
    """
    bank = make_bank(distribution_mode, use_backgrounds, [level_seed])
    p = _check_progress(bank, progress)
    x, y = _check_cell(bank, p, cell)
    numbers = np.asarray([*_pair(offset, "offset"), rotation])
    inside = numbers.dtype.kind in "iuf" and ((numbers[:2] >= 0) & (numbers[:2] < 1)).all()
    if not inside or not np.isfinite(numbers[2]):
        raise ConfigError(f"offset = {offset!r}, rotation = {rotation!r}: expected two numbers in [0, 1) and radians")
    xy = (np.array([[x, y]]) + numbers[:2]).astype(np.float32)
    poses = Poses(np.zeros(1, np.int64), np.array([p], np.int8), xy, numbers[2:].astype(np.float32))
    there = f"offset {tuple(numbers[:2].tolist())} in cell ({x}, {y}) of level {level_seed} at progress {p}"
    if touches(bank, poses)[0]:
        raise ConfigError(f"{there}: the agent would touch a key, the exit or a door that it opens; leave offset out")
    reach = np.float32(AGENT_HALF_SIZE)
    doors = bank.positions[0, 3:6][(np.arange(3) < bank.num_keys[0]) & (2 * np.arange(3) + 1 >= p)]
    for cx in range(int(np.floor(xy[0, 0] - reach)), int(np.ceil(xy[0, 0] + reach))):
        for cy in range(int(np.floor(xy[0, 1] - reach)), int(np.ceil(xy[0, 1] + reach))):
            if not _is_free(bank, cx, cy) or (np.floor(doors) == (cx, cy)).all(axis=1).any():
                raise ConfigError(f"{there}: the agent, 0.75 wide, would stand in a wall or door; leave offset out")
    return place(bank, poses)[0]


def _is_free(bank: LevelBank, x: int, y: int) -> bool:
    inside = 0 <= x < bank.world_size and 0 <= y < bank.world_size
    return inside and bool(bank.free[0, y, x])


def _pair(value: object, name: str) -> tuple[object, object]:
    if not isinstance(value, Sequence | np.ndarray) or np.ndim(value) != 1 or len(value) != 2:
        raise ConfigError(f"{name} = {value!r}: expected two numbers, x and y")
    return value[0], value[1]


def _check_progress(bank: LevelBank, progress: object) -> int:
    keys = int(bank.num_keys[0])
    if isinstance(progress, bool) or not isinstance(progress, SupportsIndex) or not 0 <= int(progress) <= 2 * keys:
        raise ConfigError(
            f"progress = {progress!r}: level {bank.seeds[0]} has {keys} keys, expected a whole number in 0..{2 * keys}"
        )
    return int(progress)


def _check_cell(bank: LevelBank, progress: int, cell: object) -> tuple[int, int]:
    given = _pair(cell, "cell")
    size, seed = bank.world_size, int(bank.seeds[0])
    whole = [int(c) for c in given if isinstance(c, SupportsIndex) and not isinstance(c, bool)]
    if len(whole) != 2 or not all(0 <= c < size for c in whole):
        raise ConfigError(f"cell = {cell!r}: expected x and y, whole numbers in 0..{size - 1}")
    x, y = whole
    here = f"cell ({x}, {y}) of level {seed}"
    if not _is_free(bank, x, y):
        raise ConfigError(f"{here} is a wall; expected a free cell")
    there = present(bank.num_keys[:1], np.array([progress], np.int8))[0]
    for element in np.flatnonzero(there & (np.floor(bank.positions[0]) == (x, y)).all(axis=1)):
        raise ConfigError(f"{here} holds {ELEMENTS[element]} at progress {progress}, which an agent there would touch")
    gate = int(bank.gates[0, y, x])
    if gate > progress:
        how = "lies behind the exit" if gate == UNREACHABLE else f"is reached from progress {gate} on"
        raise ConfigError(f"{here} {how}, not at progress {progress}; choose a cell that the agent can reach")
    return x, y
