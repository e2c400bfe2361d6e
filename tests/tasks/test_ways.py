"""The field of directions of one maze, against a hand-made one and against ``Forest``."""

from __future__ import annotations

import numpy as np

from heist_encoders.tasks.forest import Forest
from heist_encoders.tasks.ways import STEPS, action_of, directions_to


def test_directions_of_a_hand_made_maze() -> None:
    free = np.zeros((5, 5), dtype=bool)
    free[2, :] = True
    free[3, 2] = True
    field = directions_to(free, (2, 3))
    assert field[2].tolist() == [1, 1, 3, 2, 2]
    assert field[3, 2] == 0
    assert not field[~free].any()


def test_one_maze_and_many_agree() -> None:
    rng = np.random.default_rng(0)
    tree = np.zeros((9, 9), dtype=bool)
    tree[:, 4] = True
    tree[::2] = rng.random((5, 9)) < 0.8
    tree[:, 4] = True
    forest = Forest(tree[None], np.array([[4, 0]]))
    np.testing.assert_array_equal(forest.unflatten(forest.to_parent)[0], directions_to(tree, (4, 0)))


def test_actions_of_steps() -> None:
    assert action_of(STEPS.astype(np.int64)).tolist() == [4, 7, 1, 5, 3]
