"""Every game has a task, and a task keeps what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from heist_encoders.constants import BALANCES, GAMES, NUM_ACTIONS, POLICIES
from heist_encoders.engine import Engine
from heist_encoders.errors import DatasetError, UnknownNameError
from heist_encoders.tasks import task_of
from heist_encoders.tasks.base import STRATUM, box_columns


@pytest.mark.parametrize("game", GAMES)
def test_every_game_has_a_task(game: str) -> None:
    task = task_of(game)
    assert task is task_of(game)
    assert task.game == game
    assert task.default_mode in task.modes
    assert set(task.strategies) <= set(BALANCES)
    assert task.default_policy in task.policies
    assert set(task.policies) <= set(POLICIES)
    assert (task.oracle() is not None) == ("oracle" in task.policies)
    assert 1 <= task.num_moves <= NUM_ACTIONS
    assert ("elements" in task.strategies) == bool(task.strata) == (STRATUM in task.label_columns())
    grouped = sorted(index for group in task.strata_groups.values() for index in group)
    assert grouped == list(range(len(task.strata)))
    wanted = {"level_seed", *box_columns(task.elements), *(f"visible_{element}" for element in task.elements)}
    assert wanted <= set(task.label_columns())


@pytest.mark.parametrize("game", GAMES)
def test_labels_are_the_documented_columns(game: str) -> None:
    task = task_of(game)
    with Engine(3, game=game, distribution_mode="easy") as engine:
        engine.load_levels([7, 8, 9])
        labels = task.label(engine, [2, 0], np.zeros(2, np.float32))
        group = task.level_group(engine, 0)
    assert {name: column.dtype.name for name, column in labels.items()} == task.label_columns()
    assert labels["level_seed"].tolist() == [9, 7]
    assert group is None or group >= 0


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UnknownNameError, match="unknown game 'hiest'; did you mean 'heist'"):
        task_of("hiest")
    plain = task_of("coinrun")
    with pytest.raises(DatasetError, match="coinrun has no semantic map"):
        plain.semantic_maps({}, "easy")
    with pytest.raises(DatasetError, match="coinrun has no boxes"):
        plain.check_elements("boxes")
