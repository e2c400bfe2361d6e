"""Levels worked out from their seeds against the engine's own, and what is derived from them against the slow way."""

from __future__ import annotations

import numpy as np
import pytest

from heist_encoders.constants import MAX_LEVEL_SEED
from heist_encoders.engine import Engine
from heist_encoders.errors import EngineError
from heist_encoders.tasks.heist import levels as levels_module
from heist_encoders.tasks.heist.generation import Levels, make_levels
from heist_encoders.tasks.heist.levels import LevelBank
from heist_encoders.tasks.heist.state import DOOR, EXIT, KEY, SPACE, compact, parse_state
from heist_encoders.tasks.heist.ways import NUM_TARGETS
from heist_encoders.tasks.ways import STEPS, directions_to

MODES = ("easy", "hard", "memory")


def _seeds(count: int) -> list[int]:
    return [0, 1, MAX_LEVEL_SEED, *np.random.default_rng(4).integers(0, MAX_LEVEL_SEED, count - 3).tolist()]


@pytest.mark.parametrize("mode", MODES)
def test_levels_are_the_engines(mode: str) -> None:
    """Walls, the agent's place, each element to the last bit of its position, and the background."""
    seeds, games = _seeds(1024), 64
    levels = make_levels(mode, np.array(seeds))
    with Engine(games, distribution_mode=mode) as engine:
        for start in range(0, len(seeds), games):
            engine.load_levels(seeds[start : start + games])
            for i in range(games):
                state, level = parse_state(engine.get_state(i)), start + i
                assert state.level_seed == seeds[level]
                np.testing.assert_array_equal(state.grid == SPACE, levels.free[level])
                assert state.agent == (*(levels.starts[level] + 0.5), 0)
                assert state.num_keys == levels.num_keys[level]
                positions = np.full((7, 2), np.nan, np.float32)
                for first, kind in ((0, KEY), (3, DOOR), (6, EXIT)):
                    for color, position in state.positions(kind).items():
                        positions[first + color] = position
                np.testing.assert_array_equal(positions, levels.positions[level])
                assert state.background == (levels.backgrounds[level], levels.background_offsets[level])
    assert len(np.unique(levels.num_keys)) == 4
    assert len(np.unique(levels.backgrounds)) == 9


def test_a_level_does_not_depend_on_those_beside_it() -> None:
    together = make_levels("memory", np.arange(40))
    for seed in range(0, 40, 13):
        alone = make_levels("memory", np.array([seed]))
        for name in ("num_keys", "positions", "starts", "free", "backgrounds", "background_offsets"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[seed])


def _gate(home: np.ndarray, gates: dict[tuple[int, int], int], place: tuple[int, int]) -> int:
    """The largest gate on the way from a cell to the start, the start's own not counted."""
    x, y = place
    largest = 0
    while home[y, x]:
        largest = max(largest, gates.get((x, y), 0))
        dx, dy = STEPS[home[y, x]]
        x, y = x + dx, y + dy
    return largest


@pytest.mark.parametrize("mode", MODES)
def test_gates_and_directions_are_those_of_single_mazes(mode: str) -> None:
    with Engine(1, distribution_mode=mode) as engine:
        bank = LevelBank(engine, _seeds(30))
        levels = make_levels(mode, bank.seeds)
        for level in range(len(bank)):
            free = levels.free[level]
            cells = {i: tuple(p.astype(int)) for i, p in enumerate(bank.positions[level]) if not np.isnan(p[0])}
            gates = {cell: 127 if i == 6 else 2 * i + 1 if i < 3 else 2 * (i - 3) + 2 for i, cell in cells.items()}
            y, x = np.nonzero(free)
            home = directions_to(free, tuple(levels.starts[level]))
            assert bank.gates[level][y, x].tolist() == [_gate(home, gates, place) for place in zip(x, y, strict=True)]
            assert (bank.gates[level][~free] == 127).all()
            for i, cell in cells.items():
                target = NUM_TARGETS - 1 if i == 6 else 2 * i if i < 3 else 2 * (i - 3) + 1
                found = bank.ways.directions(np.full(len(x), level), np.full(len(x), target), np.stack([x, y], axis=1))
                np.testing.assert_array_equal(found, directions_to(free, cell)[y, x])


def test_compact_state_is_the_engines_state() -> None:
    """It draws the engine's own frame, and the engine gives it back with the same content."""
    with Engine(1) as engine:
        seed = int(np.argmax(make_levels("memory", np.arange(100)).num_keys))
        engine.load_levels([seed])
        state, frame = parse_state(engine.get_state(0)), engine.frames[0].copy()
        np.testing.assert_array_equal(engine.draw(compact(state)[None])[0], frame)
        again = parse_state(engine.get_state(0))
        assert again.agent == state.agent
        assert [again.positions(kind) for kind in (KEY, DOOR, EXIT)] == [
            state.positions(kind) for kind in (KEY, DOOR, EXIT)
        ]
        np.testing.assert_array_equal(again.grid, state.grid)


def test_an_engine_that_makes_other_levels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(mode: str, seeds: np.ndarray) -> Levels:
        return make_levels(mode, seeds + 1)

    monkeypatch.setattr(levels_module, "make_levels", other)
    with Engine(1) as engine, pytest.raises(EngineError, match="of this build of procgen is not as expected"):
        LevelBank(engine, [5])
