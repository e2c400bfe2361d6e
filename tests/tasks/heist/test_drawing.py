"""Drawn frames against played ones, the projection against pixels, the oracle, the pose table."""

from __future__ import annotations

import numpy as np
import pytest

from heist_encoders.constants import TEST_LEVELS, TRAIN_LEVELS
from heist_encoders.data.play import Play
from heist_encoders.engine import Engine
from heist_encoders.errors import EngineError
from heist_encoders.tasks.heist.levels import NEIGHBOURS, LevelBank, wall_codes
from heist_encoders.tasks.heist.poses import closed_codes, pose_table
from heist_encoders.tasks.heist.solver import Oracle, oracle_moves
from heist_encoders.tasks.heist.state import DOOR, WALL, parse_state

MODES = ("easy", "hard", "memory")


@pytest.mark.parametrize("mode", MODES)
def test_drawn_frame_is_the_played_frame(mode: str) -> None:
    """Every played frame is rebuilt, to the pixel, from (level, progress, pose) alone."""
    games, compared, progresses = 8, 0, set()
    with Engine(games, distribution_mode=mode) as engine, Engine(1, distribution_mode=mode) as scratch:
        play = Play(engine, TRAIN_LEVELS, "mixed", np.random.default_rng(3))
        banks: dict[int, LevelBank] = {}
        for _ in range(120):
            play.step()
            for i in range(games):
                state = parse_state(engine.get_state(i))
                if state.level_seed not in banks:
                    banks[state.level_seed] = LevelBank(scratch, [state.level_seed])
                *xy, rotation = np.array(state.agent, np.float32)
                drawn = scratch.draw(
                    banks[state.level_seed].states(
                        np.array([0]), np.array([state.progress], np.int8), np.array([xy]), np.array([rotation])
                    )
                )
                np.testing.assert_array_equal(drawn[0], engine.frames[i])
                compared += 1
                progresses.add(state.progress)
    assert compared == games * 120
    assert len(progresses) > 2


@pytest.mark.parametrize("mode", MODES)
def test_oracle_solves_every_level(mode: str) -> None:
    games = 24
    with Engine(games, distribution_mode=mode) as engine:
        engine.load_levels(range(1000, 1000 + games))
        oracle, solved = Oracle(), np.zeros(games, dtype=bool)
        for _ in range(400):
            engine.act([4 if solved[i] else oracle.action(engine.get_state(i)) for i in range(games)])
            seen = engine.observe()
            assert (seen.rewards[seen.first & ~solved] == 10).all()
            solved |= seen.first
            if solved.all():
                break
    assert solved.all()


def test_oracle_moves_by_hand() -> None:
    codes = np.array([1, 1, 1, 3, 0], dtype=np.int8)
    x = np.array([2.5, 2.5, 2.5, 2.7, 2.5], dtype=np.float32)
    y = np.array([4.5, 4.61, 4.7, 4.5, 4.5], dtype=np.float32)
    moves, action = oracle_moves(codes, x, y)
    right, right_down, down, left_up = 7, 6, 3, 2
    assert action.tolist() == [right, right_down, right_down, left_up, 4]
    assert moves.tolist() == [
        1 << right,
        1 << right_down | 1 << right,  # off the line, but it would still fit
        1 << right_down | 1 << down,  # has to come down first
        1 << left_up | 1 << 1,
        0,
    ]


def test_what_is_no_state_is_refused() -> None:
    with Engine(1) as engine:
        engine.load_levels([8])
        blob = engine.get_state(0)
        state = parse_state(blob)
        assert state.level_seed == 8
        assert state.grid.shape == (23, 23)
        for bad in (blob[:200], blob[:-4] + b"\0\0\0\0", b"", blob[:5000]):
            with pytest.raises(EngineError, match="no state of heist"):
                parse_state(bad)
        pose = np.zeros(2, np.int64), np.zeros(2, np.int8), np.ones((2, 2), np.float32), np.zeros(2, np.float32)
        states = LevelBank(engine, [8]).states(*pose)
        assert parse_state(states[1].tobytes()).level_seed == 8
        states["end"][1] = 0
        with pytest.raises(EngineError, match="not all states of heist"):
            engine.draw(states)


def _poses(mode: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of played poses and of poses drawn from the table for the same cells."""
    features: list[np.ndarray] = []
    codes: list[int] = []
    with Engine(16, distribution_mode=mode) as engine:
        play = Play(engine, TEST_LEVELS, "mixed", np.random.default_rng(seed))
        for step in range(600):
            play.step()
            if step % 4:
                continue
            for i in np.flatnonzero(~play.fresh):
                state = parse_state(engine.get_state(int(i)))
                x, y, rotation = state.agent
                doors = np.full((1, 3, 2), np.nan, dtype=np.float32)
                for color, position in state.positions(DOOR).items():
                    doors[0, color] = position
                code = closed_codes(
                    wall_codes((state.grid == WALL)[None])[0, int(y), int(x)][None],
                    np.array([[int(x), int(y)]]), doors,
                    np.array([state.num_keys], np.int8), np.array([state.progress], np.int8),
                )[0]  # fmt: skip
                codes.append(int(code))
                features.append(np.array([x - int(x), y - int(y), np.cos(rotation), np.sin(rotation)]))
    bits = np.unpackbits(np.array(codes, np.uint8)[:, None], axis=1).astype(float)
    offsets, rotation = pose_table(mode).draw(np.array(codes, np.uint8), np.random.default_rng(seed))
    drawn = np.column_stack([offsets, np.cos(rotation), np.sin(rotation)])
    return np.column_stack([np.array(features), bits]), np.column_stack([drawn, bits])


@pytest.mark.parametrize("mode", MODES)
def test_classifier_cannot_tell_drawn_from_played_poses(mode: str) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    played, drawn = _poses(mode, seed=5)
    x = np.concatenate([played, drawn])
    y = np.repeat([0, 1], [len(played), len(drawn)])
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[: len(x) // 2], order[len(x) // 2 :]

    def auc(features: np.ndarray) -> float:
        forest = RandomForestClassifier(100, min_samples_leaf=20, random_state=0).fit(features[train], y[train])
        return float(roc_auc_score(y[test], forest.predict_proba(features[test])[:, 1]))

    assert auc(x) <= 0.56
    uniform = x.copy()
    uniform[len(played) :, :2] = np.random.default_rng(1).random((len(drawn), 2))
    assert auc(uniform) > 0.9, "the classifier must be able to tell poses that are not played"


def test_closed_codes_name_each_closed_neighbour() -> None:
    """A door in each of the 24 places around a cell: only the 8 neighbours count, only while the door is closed."""
    places = [(dx, dy) for dx in range(-2, 3) for dy in range(-2, 3) if (dx, dy) != (0, 0)]
    count = len(places)
    doors = np.full((count, 3, 2), np.nan, np.float32)
    doors[:, 1] = np.array(places) + 5.5
    walls, cells = np.zeros(count, np.uint8), np.full((count, 2), 5)
    keys = np.full(count, 2, np.int8)
    closed = closed_codes(walls, cells, doors, keys, np.full(count, 2, np.int8))
    assert closed.tolist() == [1 << NEIGHBOURS.index(place) if place in NEIGHBOURS else 0 for place in places]
    assert not closed_codes(walls, cells, doors, keys, np.full(count, 3, np.int8)).any()
