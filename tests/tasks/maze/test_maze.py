"""Maze: the labels against pixels, the oracle, the state, and a dataset from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heist_encoders.constants import NOOP, TRAIN_LEVELS
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.play import Play
from heist_encoders.data.sampler import draw_chunk
from heist_encoders.engine import Engine, EngineState
from heist_encoders.errors import ConfigError, DatasetError, EngineError
from heist_encoders.tasks import task_of
from heist_encoders.tasks.blob import SPACE, WALL
from heist_encoders.tasks.maze.state import CHEESE, parse_state

MODES = ("easy", "hard", "memory")
TASK = task_of("maze")


@pytest.mark.parametrize("mode", MODES)
def test_oracle_solves_every_level(mode: str) -> None:
    games = 24
    oracle = TASK.oracle()
    assert oracle is not None
    with Engine(games, game="maze", distribution_mode=mode) as engine:
        engine.load_levels(range(1000, 1000 + games))
        solved = np.zeros(games, dtype=bool)
        for _ in range(400):
            engine.act([NOOP if solved[i] else oracle.action(engine.get_state(i)) for i in range(games)])
            seen = engine.observe()
            assert (seen.rewards[seen.first & ~solved] == 10).all()
            solved |= seen.first
            if solved.all():
                break
    assert solved.all()


@pytest.mark.parametrize("mode", MODES)
def test_every_labelled_move_goes_one_step_along_the_way(mode: str) -> None:
    """After any of the moves the way to the cheese is a step shorter; after any other move it is not."""
    shorter = 0
    options = {"game": "maze", "distribution_mode": mode}
    with Engine(8, **options) as engine, Engine(1, **options) as copy:
        play = Play(engine, TRAIN_LEVELS, "mixed", np.random.default_rng(4))
        for _ in range(5):
            play.step()
            moves = TASK.label(engine, range(8), play.rewards)["oracle_moves"]
            for game in range(8):
                state = engine.get_state(game)
                before = _steps_left(state)
                for action in range(TASK.num_moves):
                    copy.set_state(0, state)
                    copy.act([action])
                    solved = bool(copy.observe().first[0])
                    after = 0 if solved else _steps_left(copy.get_state(0))
                    assert (after == before - 1) == bool(int(moves[game]) >> action & 1)
                    shorter += after < before
    assert shorter > 40


def _steps_left(blob: bytes) -> int:
    """Length of the way to the cheese, by flooding the maze from the agent: independent of the package's search."""
    state = parse_state(blob)
    free = {(x, y) for y, x in np.argwhere(state.grid != WALL).tolist()}
    edge = {state.cell}
    steps = 0
    while state.cheese not in edge:
        free -= edge
        edge = {(x + dx, y + dy) for x, y in edge for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))} & free
        steps += 1
        assert edge
    return steps


@pytest.mark.parametrize("mode", MODES)
def test_every_pixel_of_the_cheese_lies_in_its_box(mode: str) -> None:
    """Put nothing or a wall in place of the cheese, draw again: only pixels of its box change, and most of them do."""
    seen = hidden = 0
    with Engine(8, game="maze", distribution_mode=mode) as engine:
        play = Play(engine, TRAIN_LEVELS, "oracle", np.random.default_rng(1))
        for _ in range(60):
            play.step()
            frames = engine.frames.copy()
            labels = TASK.label(engine, range(8), play.rewards)
            for game in range(8):
                blob = engine.get_state(game)
                state = parse_state(blob)
                changed = np.zeros((64, 64), dtype=bool)
                for other in (SPACE, WALL):
                    grid = np.where(state.grid == CHEESE, np.int32(other), state.grid)
                    engine.set_state(game, EngineState(blob.replace(state.grid.tobytes(), grid.tobytes())))
                    changed |= (engine.frames[game] != frames[game]).any(axis=-1)
                engine.set_state(game, blob)
                x0, y0, x1, y1 = (int(labels[f"cheese_{side}"][game]) for side in ("x0", "y0", "x1", "y1"))
                inside = np.zeros_like(changed)
                inside[y0:y1, x0:x1] = True
                assert not (changed & ~inside).any()
                if labels["visible_cheese"][game] >= 0.5:
                    assert changed[inside].mean() > 0.4
                    seen += 1
                elif labels["visible_cheese"][game] == 0:
                    assert not changed.any()
                    hidden += 1
    assert seen > 20
    assert (hidden > 20) == (mode == "memory")


@pytest.mark.parametrize("mode", MODES)
def test_labels_are_those_of_the_state(mode: str) -> None:
    with Engine(4, game="maze", distribution_mode=mode) as engine:
        engine.load_levels([5, 6, 7, 8])
        for _ in range(3):
            engine.act([1, 7, 5, 3])
        labels = TASK.label(engine, [0, 2], np.array([1, 2], np.float32))
        states = [parse_state(engine.get_state(game)) for game in (0, 2)]
        assert labels["level_seed"].tolist() == [5, 7]
        assert labels["reward"].tolist() == [1, 2]
        assert list(zip(labels["agent_x"], labels["agent_y"], strict=True)) == [state.agent[:2] for state in states]
        assert {name: column.dtype.name for name, column in labels.items()} == TASK.label_columns()
        assert TASK.cells_in_view(mode) == (8 if mode == "memory" else states[0].world_size)


def test_what_is_no_state_is_refused() -> None:
    with Engine(1, game="maze") as engine, Engine(1) as other:
        engine.load_levels([3])
        blob = engine.get_state(0)
        state = parse_state(blob)
        assert (state.level_seed, state.world_size, state.maze_size % 2) == (3, 31, 1)
        grid = state.grid.copy()
        grid[grid == CHEESE] = SPACE
        for bad in (blob[:-4] + b"\0\0\0\0", b"", blob[:5000], other.get_state(0), blob.replace(state.grid, grid)):
            with pytest.raises(EngineError, match="no state of maze"):
                parse_state(bad)


@pytest.mark.parametrize("balance", ["natural", "basic"])
def test_dataset(tmp_path: Path, balance: str) -> None:
    values = {"game": "maze", "balance": balance, "size": 60, "distribution_mode": "memory"}
    assert DatasetSpec.from_dict(values).policy == "random"
    spec = DatasetSpec.from_dict({**values, "policy": "mixed"})
    data = generate_local(spec, tmp_path / "maze")
    assert data.boxes("train").shape == (54, 1, 4)
    assert data.visible("test").shape == (6, 1)
    assert list(data.labels("train").columns) == list(TASK.label_columns())
    assert "| cheese |" in (tmp_path / "maze" / "README.md").read_text()
    assert generate_local(spec, tmp_path / "again").hash == data.hash
    rows = draw_chunk(spec, spec.chunks()[0])
    np.testing.assert_array_equal(rows.frames, data.frames("train"))


def test_what_maze_has_not() -> None:
    with pytest.raises(ConfigError, match="maze has no balance 'elements'; it can have natural, basic"):
        DatasetSpec.from_dict({"game": "maze", "balance": "elements"})
    with pytest.raises(DatasetError, match="maze has no semantic map"):
        TASK.semantic_maps({}, "memory")
    assert TASK.classes == ()
    assert [target.name for target in TASK.probe_targets()] == ["presence", "position", "next_move"]
