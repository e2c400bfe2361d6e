"""Played balances of all 16 games, and Heist with backgrounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heist_encoders.constants import GAMES, TRAIN_LEVELS
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.sampler import draw_chunk
from heist_encoders.data.schema import columns
from heist_encoders.engine import Engine
from tests.data.redraw import states_of

MODES = ("easy", "hard", "memory")


@pytest.mark.parametrize("balance", ["basic", "natural"])
@pytest.mark.parametrize("game", GAMES)
def test_played_balances_of_every_game(game: str, balance: str) -> None:
    spec = DatasetSpec.from_dict(
        {"game": game, "distribution_mode": "easy", "balance": balance, "size": 40, "test_fraction": 0.0}
    )
    (chunk,) = spec.chunks()
    rows, again = draw_chunk(spec, chunk), draw_chunk(spec, chunk)
    np.testing.assert_array_equal(rows.frames, again.frames)
    assert set(rows.labels) == set(columns(game))
    seeds = rows.labels["level_seed"].astype(np.int64)
    assert ((seeds >= TRAIN_LEVELS.start) & (seeds < TRAIN_LEVELS.stop)).all()
    assert len(np.unique(seeds)) == 40 if balance == "basic" else len(np.unique(seeds)) >= 16
    assert rows.frames.reshape(40, -1).std(axis=1).min() > 1
    if game != "heist":
        assert spec.policy == "random"


@pytest.mark.parametrize("policy", ["random", "oracle", "mixed"])
@pytest.mark.parametrize("mode", MODES)
def test_natural_play_by_each_policy(mode: str, policy: str) -> None:
    """Labels read in play are those by which the frame can be drawn again."""
    spec = DatasetSpec(distribution_mode=mode, balance="natural", policy=policy, size=96, seed=2, test_fraction=0.0)
    rows = draw_chunk(spec, spec.chunks()[0])
    with Engine(4, distribution_mode=mode) as engine:
        np.testing.assert_array_equal(engine.draw(states_of(engine, rows.labels)), rows.frames)
    assert (rows.labels["case"] == -1).all()


@pytest.mark.parametrize("balance", ["elements", "basic", "natural"])
@pytest.mark.parametrize("mode", MODES)
def test_backgrounds(mode: str, balance: str) -> None:
    """The labels of the spec without backgrounds, the same bytes twice, pictures where it was black, and each frame
    drawn again from its labels alone."""
    values = {"distribution_mode": mode, "balance": balance, "size": 56, "seed": 4, "test_fraction": 0.0}
    plain, pictured = (DatasetSpec.from_dict({**values, "use_backgrounds": on}) for on in (False, True))
    chunk = plain.chunks()[0]
    rows, black, again = draw_chunk(pictured, chunk), draw_chunk(plain, chunk), draw_chunk(pictured, chunk)
    np.testing.assert_array_equal(rows.frames, again.frames)
    for name, column in black.labels.items():
        np.testing.assert_array_equal(rows.labels[name], column)
    was_black = (black.frames == 0).all(axis=-1)
    assert was_black.mean() > 0.2
    assert (rows.frames[was_black] > 0).any(axis=-1).mean() > 0.95
    with Engine(4, distribution_mode=mode, use_backgrounds=True) as engine:
        np.testing.assert_array_equal(engine.draw(states_of(engine, rows.labels)), rows.frames)


def test_default_policy_depends_on_the_game(tmp_path: Path) -> None:
    assert DatasetSpec().policy == "mixed"
    data = generate_local(DatasetSpec(game="ninja", distribution_mode="easy", balance="natural", size=20), tmp_path)
    assert data.spec.policy == "random"
