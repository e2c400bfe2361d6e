"""Heist's levels worked out from their seeds, as procgen's own generator makes them, many at once.

The engine needs 0.3 ms to make a level and 0.1 ms to serialise its state; this takes 0.1 ms for both. The algorithm is
procgen's (Cobbe et al. 2020, https://github.com/openai/procgen, ``mazegen.cpp`` and ``heist.cpp``): a maze by
Kruskal's algorithm, doors at forks, each key in the part of the maze that the door before it opens. ``LevelBank``
compares a level with the engine's own before it relies on this; ``test_generation.py`` compares thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heist_encoders.tasks.forest import Forest
from heist_encoders.tasks.heist.projection import HALF_SIZES

WORLD_SIZES = {"easy": 9, "hard": 13, "memory": 23}
"""Side of the world in cells, by distribution mode."""

_SMALLEST_MAZE = 5
_MAX_KEYS = 3
_BACKGROUNDS = 9
_BLOCK = 320
"""Random numbers fetched at a time: enough for nearly every level, as the largest maze takes 220."""


class Levels(NamedTuple):
    """A stack of ``L`` levels; ``size`` is the side of the world in cells.

    Attributes:
        num_keys: int8 (L,), keys in the level, 0 to 3, and as many doors.
        positions: float32 (L, 7, 2), x and y of each element in cells, in the order of ``ELEMENTS``; NaN where the
            level has none.
        starts: int64 (L, 2), the agent's first cell, x and y.
        free: bool (L, size, size), ``free[level, y, x]``: no wall.
        backgrounds: int32 (L,), which of the 9 pictures is behind the level.
        background_offsets: float32 (L,), [0, 1), where in the picture.
        tree: the free cells as trees.
    """

    num_keys: NDArray[np.int8]
    positions: NDArray[np.float32]
    starts: NDArray[np.int64]
    free: NDArray[np.bool_]
    backgrounds: NDArray[np.int32]
    background_offsets: NDArray[np.float32]
    tree: Forest


class _Draws:
    """A level's random numbers, read in the order in which procgen reads them."""

    def __init__(self, bits: np.random.MT19937) -> None:
        self._numbers = chain.from_iterable(_blocks(bits))
        self.raw = self._numbers.__next__
        """The next number, [0, 2**32)."""

    def below(self, limit: int) -> int:
        """The next number, brought into [0, limit) as procgen's ``randn`` does."""
        return self.raw() % limit

    def take(self, count: int) -> list[int]:
        """The next ``count`` numbers, as they are."""
        return list(islice(self._numbers, count))

    def skip(self, count: int) -> None:
        next(islice(self._numbers, count, count), None)


def _blocks(bits: np.random.MT19937) -> Iterator[list[int]]:
    while True:
        yield bits.random_raw(_BLOCK).tolist()


class _Plan(NamedTuple):
    """What a level's random numbers say before distances in its maze are known. Cells are (x, y) in the world.

    Numbers whose limit depends on distances stay as drawn: ``prizes``, one for each key and the exit, says which free
    cell of its part of the maze it lies in; ``places``, x and y for each, where in a cell.
    """

    num_doors: int
    maze_size: int
    free: list[int]
    start: int
    doors: list[int]
    offset: tuple[int, int]
    background: int
    background_offset: int
    prizes: list[int]
    places: list[int]


def make_levels(distribution_mode: str, seeds: NDArray[np.int64]) -> Levels:
    """The levels of ``seeds``, int64 (L,), in 0..2**31 - 2."""
    size = WORLD_SIZES[distribution_mode]
    bits = np.random.MT19937(0)
    seeder = np.random.RandomState(bits)
    plans = []
    for seed in seeds.tolist():
        seeder.seed(seed)
        plans.append(_plan(size, distribution_mode == "memory", bits))
    count, stride = len(plans), size + 2
    number = np.arange(count)
    num_doors = np.array([plan.num_doors for plan in plans])
    free = np.zeros((count, stride, stride), np.bool_)
    first = np.array([(plan.offset[1] + 1) * stride + plan.offset[0] + 1 for plan in plans])
    sizes = np.array([plan.maze_size for plan in plans])

    def world(level: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
        y, x = np.divmod(cells, sizes[level])
        flat: NDArray[np.int64] = level * stride**2 + first[level] + y * stride + x
        return flat

    free.ravel()[world(np.repeat(number, [len(plan.free) for plan in plans]), _joined([p.free for p in plans]))] = True
    roots = world(number, np.array([plan.start for plan in plans]))
    starts = np.stack([roots % stride - 1, roots // stride % stride - 1], axis=1)
    tree = Forest(free[:, 1:-1, 1:-1], starts)
    doors = np.zeros((count, _MAX_KEYS), np.int64)
    has_door = np.arange(_MAX_KEYS) < num_doors[:, None]
    doors[has_door] = world(np.repeat(number, num_doors), _joined([plan.doors for plan in plans]))
    prize_draws, place_draws = np.zeros((count, _MAX_KEYS + 1), np.int64), np.zeros((count, _MAX_KEYS + 1, 2), np.int64)
    has_prize = np.arange(_MAX_KEYS + 1) <= num_doors[:, None]
    prize_draws[has_prize] = _joined([plan.prizes for plan in plans])
    place_draws[has_prize] = _joined([plan.places for plan in plans]).reshape(-1, 2)
    doors, prizes = _place(tree, free.ravel(), doors, num_doors, prize_draws)

    # Keys in 0-2, doors in 3-5, the exit in 6, in the order of ELEMENTS.
    cells = np.zeros((count, 2 * _MAX_KEYS + 1), np.int64)
    cells[:, :3][has_door] = prizes[:, :3][has_door]
    cells[:, 3:6][has_door] = doors[has_door]
    cells[:, 6] = prizes[number, num_doors]
    x, y = cells % stride - 1, cells // stride % stride - 1
    positions = np.stack([x, y], axis=-1) + np.float32(0.5)
    _shift(positions, cells, x, y, place_draws)
    positions[cells == 0] = np.nan
    return Levels(
        num_keys=num_doors.astype(np.int8),
        positions=positions.astype(np.float32),
        starts=starts,
        free=free[:, 1:-1, 1:-1],
        backgrounds=np.array([plan.background for plan in plans], np.int32),
        background_offsets=_unit(np.array([plan.background_offset for plan in plans])),
        tree=tree,
    )


def _joined(lists: list[list[int]]) -> NDArray[np.int64]:
    return np.array([item for items in lists for item in items], np.int64)


def _unit(draws: NDArray[np.int64]) -> NDArray[np.float32]:
    return (draws / 2.0**32).astype(np.float32)


def _plan(world_size: int, is_memory: bool, bits: np.random.MT19937) -> _Plan:
    """One level's numbers, each read where procgen reads it."""
    draws = _Draws(bits)
    background_offset, background = draws.raw(), draws.below(_BACKGROUNDS)
    draws.skip(2)  # a place of the agent that is not used
    difficulty = draws.below((world_size - _SMALLEST_MAZE) // 2 + 1)
    num_keys = draws.below(4) if is_memory else min(difficulty + draws.below(2), _MAX_KEYS)
    size = 2 * difficulty + _SMALLEST_MAZE
    free, forks = _maze(size, draws)
    # Where there are too few forks, each has a door.
    doors = [forks.pop(draws.below(len(forks))) for _ in range(num_keys)] if num_keys <= len(forks) else forks
    start = _start(size, free, doors, draws)
    prizes = draws.take(len(doors) + 1)
    shift = world_size - size + 1
    return _Plan(
        num_doors=len(doors),
        maze_size=size,
        free=free,
        start=start,
        doors=doors,
        offset=(draws.below(shift), draws.below(shift)),
        background=background,
        background_offset=background_offset,
        prizes=prizes,
        places=draws.take(2 * len(prizes)),
    )


def _maze(size: int, draws: _Draws) -> tuple[list[int], list[int]]:
    """A maze by Kruskal's algorithm: its free cells in ascending order, and its forks, rooms with over two ways."""
    walls = list(_walls(size))
    above = list(range(size * size))
    degree = [0] * (size * size)
    rooms = _rooms(size)
    free = list(rooms)
    draw = draws.raw
    open_walls = len(rooms) - 1
    while open_walls:
        one, other, between = walls.pop(draw() % len(walls))
        a, b = one, other
        while above[a] != a:
            above[a] = a = above[above[a]]
        while above[b] != b:
            above[b] = b = above[above[b]]
        if a != b:
            above[a] = b
            degree[one] += 1
            degree[other] += 1
            free.append(between)
            open_walls -= 1
    draws.skip(len(walls))  # procgen goes on until no wall is left
    free.sort()
    return free, [cell for cell in rooms if degree[cell] > 2]


def _start(size: int, free: list[int], doors: list[int], draws: _Draws) -> int:
    """The agent's first cell: free, and not beside a door, where it would have no room."""
    closed = set(doors)
    spaces = [cell for cell in free if cell not in closed]
    beside = {door + step for door in doors for step in _sides(door, size)}
    while (start := spaces[draws.below(len(spaces))]) in beside:
        pass
    return start


@lru_cache(maxsize=16)
def _walls(size: int) -> tuple[tuple[int, int, int], ...]:
    """The walls that may fall, in procgen's order: the two rooms and the wall's own cell."""
    flat = np.arange(size * size).reshape(size, size)
    found = [(int(flat[y, x - 1]), int(flat[y, x + 1]), int(flat[y, x]))
             for x in range(1, size, 2) for y in range(0, size, 2)]  # fmt: skip
    found += [(int(flat[y - 1, x]), int(flat[y + 1, x]), int(flat[y, x]))
              for x in range(0, size, 2) for y in range(1, size, 2)]  # fmt: skip
    return tuple(found)


@lru_cache(maxsize=16)
def _rooms(size: int) -> tuple[int, ...]:
    return tuple(y * size + x for y in range(0, size, 2) for x in range(0, size, 2))


def _sides(cell: int, size: int) -> list[int]:
    y, x = divmod(cell, size)
    return [step for step, inside in ((1, x + 1 < size), (-1, x > 0), (size, y + 1 < size), (-size, y > 0)) if inside]


def _place(
    tree: Forest,
    free: NDArray[np.bool_],
    doors: NDArray[np.int64],
    num_doors: NDArray[np.int64],
    draws: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Doors in the order in which they are met, int64 (L, 3), and the cells of what lies before each of them and
    behind the last: the keys and the exit, int64 (L, 4).

    Door k is the nearest closed one to all that was open before door k - 1 fell; among equals the one with the lower
    cell before it.
    """
    count, area = len(doors), tree.stride**2
    number = np.arange(count)
    is_door = np.zeros(free.size, np.bool_)
    is_door[doors[doors > 0]] = True
    behind = tree.last_on_the_way(is_door)
    space = free & ~is_door
    space[tree.roots] = False
    ordered, prizes = np.zeros_like(doors), np.zeros((count, _MAX_KEYS + 1), np.int64)
    closed = doors > 0
    before, around = tree.parents[doors], behind[doors]
    last = np.zeros(count, np.int64)  # the door that opened last; 0 for the part in which the agent starts
    seen_before = np.zeros_like(closed)  # doors that could be reached before the last one opened
    for stage in range(_MAX_KEYS + 1):
        here = number[num_doors >= stage]
        # The part of the maze that the last door opened: in it lies the next key, or at the end the exit.
        mine = space.reshape(count, area) & (behind.reshape(count, area) == last[:, None])
        level, cell = np.nonzero(mine[here])
        counts = np.bincount(level, minlength=len(here))
        starts = np.cumsum(counts) - counts
        prizes[here, stage] = cell[starts + draws[here, stage] % counts] + here * area
        if stage == _MAX_KEYS:
            break
        new = closed & (around == last[:, None])
        distance = np.where(
            seen_before, 0, tree.depths[before] - tree.depths[np.where(last, last, tree.roots)][:, None]
        )
        rank = np.where(seen_before | new, distance * free.size + before, np.iinfo(np.int64).max)
        nearest = rank.argmin(axis=1)
        more = number[num_doors > stage]
        ordered[more, stage] = last[more] = doors[more, nearest[more]]
        seen_before |= new
        closed[more, nearest[more]] = seen_before[more, nearest[more]] = False
    return ordered, prizes


def _shift(
    positions: NDArray[np.float32],
    cells: NDArray[np.int64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    draws: NDArray[np.int64],
) -> None:
    """Move keys and exit from the middles of their cells, in float32: ``draws``, int64 (L, 4, 2), are in the order of
    the cells, by columns from the left and upwards in each."""
    radius = HALF_SIZES[0, 0]
    loose = np.array([0, 1, 2, 6])
    there = cells[:, loose] > 0
    order = np.argsort(np.where(there, x[:, loose] * 64 + y[:, loose], 64 * 64), axis=1)
    for place in range(len(loose)):
        element = loose[order[:, place]]
        number = np.flatnonzero(np.take_along_axis(there, order[:, place : place + 1], axis=1)[:, 0])
        element = element[number]
        for axis, corner in ((0, x), (1, y)):
            within = (np.float32(1) - 2 * radius) * _unit(draws[number, place, axis]) + radius
            positions[number, element, axis] = within + corner[number, element].astype(np.float32)
