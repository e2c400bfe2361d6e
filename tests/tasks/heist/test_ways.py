"""Ways through many levels at once."""

from __future__ import annotations

import numpy as np

from heist_encoders.tasks.heist.placing import make_bank
from heist_encoders.tasks.ways import STEPS


def test_the_path_length_is_the_oracles() -> None:
    """Walking cell by cell, by the next target's direction, takes as many steps as ``path_lengths`` says."""
    bank, random = make_bank("hard", False, list(range(40))), np.random.default_rng(0)
    for row in range(len(bank)):
        progress = int(random.integers(2 * int(bank.num_keys[row]) + 1))
        y, x = random.choice(np.argwhere(bank.gates[row] <= progress)).tolist()
        for left in range(int(bank.path_lengths[row, progress, y, x]), 0, -1):
            assert bank.path_lengths[row, progress, y, x] == left
            last = 2 * int(bank.num_keys[row])
            target = 6 if progress >= last else progress
            code = bank.ways.directions(np.array([row]), np.array([target]), np.array([[x, y]]))[0]
            x, y = x + int(STEPS[code][0]), y + int(STEPS[code][1])
            element = 6 if target == 6 else target // 2 + 3 * (target % 2)
            if (np.floor(bank.positions[row, element]) == (x, y)).all() and target != 6:
                progress += 1
        assert (np.floor(bank.positions[row, 6]) == (x, y)).all()
