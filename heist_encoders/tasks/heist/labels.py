"""The labels of Heist: one function for drawn poses and played states alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.engine import Engine
from heist_encoders.tasks.base import SIDES, STRATUM, Columns, element_columns
from heist_encoders.tasks.forest import Forest
from heist_encoders.tasks.heist.elements import COLORS, ELEMENTS
from heist_encoders.tasks.heist.projection import clip_boxes, painted_boxes
from heist_encoders.tasks.heist.solver import oracle_moves
from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, WALL, parse_state
from heist_encoders.tasks.heist.ways import Ways, target_index

LABEL_COLUMNS: dict[str, str] = {
    "level_seed": "int64",
    "progress": "int8",  # events done, 0 to 2 * num_keys: key blue, door blue, key green, door green, key red, door red
    "agent_x": "float32",  # cells, from the left
    "agent_y": "float32",  # cells, from below
    "agent_rotation": "float32",  # radians
    **{f"visible_{element}": "float32" for element in ELEMENTS},  # share of its painted box on screen, 0 if absent
    **{  # the painted box on screen, in pixels, half open, y down; all 0 if nothing of it is on screen
        f"{element}_{side}": "int16" for element in ELEMENTS for side in SIDES
    },
    **{f"held_{color}": "bool" for color in COLORS},  # the inventory; keys stay in it after their door opened
    "num_keys": "int8",  # of the level, 0 to 3
    "num_doors": "int8",  # as many
    STRATUM: "int8",  # index into STRATA; -1 where frames were not drawn by strata
    "oracle_moves": "int32",  # bit a is set if move a is on a shortest path; 0 if unknown
}


class Situations(NamedTuple):
    """What the labels of N frames are a function of, besides the way that leads on.

    Attributes:
        seeds: int64 (N,), the levels.
        num_keys: int8 (N,), of the level.
        progress: int8 (N,).
        xy: float32 (N, 2), the agent's position in cells.
        rotation: float32 (N,), the agent's, in radians.
        positions: float32 (N, 7, 2), x and y of the elements that are present, NaN for the others.
    """

    seeds: NDArray[np.int64]
    num_keys: NDArray[np.int8]
    progress: NDArray[np.int8]
    xy: NDArray[np.float32]
    rotation: NDArray[np.float32]
    positions: NDArray[np.float32]


def label_situations(
    found: Situations,
    level: NDArray[np.int64],
    ways: Ways,
    strata: NDArray[np.int8],
    distribution_mode: str,
    world_size: int,
) -> Columns:
    """The label columns of situations.

    Args:
        found: N of them.
        level: int64 (N,), index of each one's level in ``ways``.
        ways: of the levels.
        strata: int8 (N,), the strata by which they were drawn, -1 if by none.
    """
    boxes, fraction = clip_boxes(painted_boxes(found.positions, found.xy, distribution_mode, world_size))
    target = target_index(found.num_keys, found.progress)
    directions = ways.directions(level, target, np.floor(found.xy).astype(np.int64))
    moves, _ = oracle_moves(directions, found.xy[:, 0], found.xy[:, 1])
    colors = np.arange(len(COLORS))
    held = (found.progress[:, None] >= 2 * colors + 1) & (colors < found.num_keys[:, None])
    columns: Columns = {
        "level_seed": found.seeds,
        "progress": found.progress,
        "agent_x": found.xy[:, 0],
        "agent_y": found.xy[:, 1],
        "agent_rotation": found.rotation,
        **element_columns(ELEMENTS, boxes, fraction),
        **{f"held_{color}": held[:, i] for i, color in enumerate(COLORS)},
        "num_keys": found.num_keys,
        "num_doors": found.num_keys,
        "oracle_moves": moves,
        STRATUM: strata,
    }
    return {name: np.ascontiguousarray(column) for name, column in columns.items()}


class HeistLabeller:
    """Labels of played frames, read from the engine's states. See ``tasks.base.Labeller``."""

    def __init__(self, distribution_mode: str) -> None:
        self._mode = distribution_mode
        self._rows: list[tuple[int, int, int, tuple[float, float, float]]] = []
        self._positions: list[NDArray[np.float32]] = []
        self._levels: dict[int, int] = {}
        """Level seed -> its index in the two lists below."""
        self._free: list[NDArray[np.bool_]] = []
        self._roots: list[tuple[int, int]] = []

    def add(self, engine: Engine, games: Sequence[int], rewards: NDArray[np.float32]) -> None:
        for game in games:
            state = parse_state(engine.get_state(game))
            x, y, _ = state.agent
            if state.level_seed not in self._levels:
                self._levels[state.level_seed] = len(self._levels)
                self._free.append(state.grid != WALL)
                self._roots.append((int(x), int(y)))
            positions = np.full((len(ELEMENTS), 2), np.nan, dtype=np.float32)
            for first, kind in ((0, KEY), (3, DOOR), (6, EXIT)):
                for color, position in state.positions(kind).items():
                    positions[first + color] = position
            self._positions.append(positions)
            self._rows.append((state.level_seed, state.num_keys, state.progress, state.agent))

    def columns(self) -> Columns:
        seeds, num_keys, progress, poses = zip(*self._rows, strict=True)
        agents = np.array(poses, np.float32)
        found = Situations(
            seeds=np.array(seeds, np.int64),
            num_keys=np.array(num_keys, np.int8),
            progress=np.array(progress, np.int8),
            xy=agents[:, :2],
            rotation=agents[:, 2],
            positions=np.stack(self._positions),
        )
        level = np.array([self._levels[seed] for seed in seeds])
        free = np.stack(self._free)
        targets = np.full((len(free), *found.positions.shape[1:]), np.nan, np.float32)
        row, element = np.nonzero(~np.isnan(found.positions[..., 0]))
        targets[level[row], element] = found.positions[row, element]
        ways = Ways(Forest(free, np.array(self._roots)), targets)
        strata = np.full(len(level), -1, np.int8)
        return label_situations(found, level, ways, strata, self._mode, free.shape[1])
