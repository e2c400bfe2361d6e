"""The engine: any level at will, any state drawn at once, mistakes in one line."""

from __future__ import annotations

import gc
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import heist_encoders
from heist_encoders import engine as engine_module
from heist_encoders.constants import GAMES, MAX_LEVEL_SEED, NOOP
from heist_encoders.engine import RESET, Engine, EngineState
from heist_encoders.errors import ConfigError, EngineError, MissingDependencyError, UnknownNameError


def test_levels_do_not_depend_on_order_or_batch() -> None:
    with Engine(3) as batch, Engine(1) as single:
        batch.load_levels([11, 22, MAX_LEVEL_SEED])
        frames = batch.observe().frames
        assert batch.observe().level_seeds.tolist() == [11, 22, MAX_LEVEL_SEED]
        for i, seed in enumerate((11, 22, MAX_LEVEL_SEED)):
            single.load_levels([seed])
            np.testing.assert_array_equal(single.frames[0], frames[i])


def test_mapping_leaves_the_other_games_in_their_level() -> None:
    with Engine(3) as engine:
        engine.load_levels([1, 2, 3])
        engine.load_levels({1: 50})
        assert engine.observe().level_seeds.tolist() == [1, 50, 3]
        assert engine.observe().first.tolist() == [False, True, False]


def test_queued_level_opens_with_the_step_of_the_others() -> None:
    with Engine(2) as engine, Engine(1) as alone:
        engine.load_levels([1, 2])
        alone.load_levels([2])
        for _ in range(5):
            engine.act([7, 7])
            alone.act([7])
        engine.queue_level(0, 99)
        engine.act([RESET, 5])
        alone.act([5])
        assert engine.observe().level_seeds.tolist() == [99, 2]
        np.testing.assert_array_equal(engine.frames[1], alone.frames[0])


def test_setting_a_state_draws_it() -> None:
    with Engine(1) as engine:
        engine.load_levels([5])
        state, frame = engine.get_state(0), engine.frames[0].copy()
        for _ in range(10):
            engine.act([1])
        assert (engine.frames[0] != frame).any()
        engine.set_state(0, state)
        np.testing.assert_array_equal(engine.frames[0], frame)


@pytest.mark.parametrize("game", GAMES)
def test_every_game_opens_a_level(game: str) -> None:
    with Engine(2, game=game, distribution_mode="easy") as engine:
        engine.load_levels([3, 4])
        assert engine.observe().level_seeds.tolist() == [3, 4]
        assert engine.frames.std() > 0


def test_noop_right_after_reset_leaves_the_frame() -> None:
    with Engine(16) as engine:
        engine.load_levels(range(16))
        before = engine.frames.copy()
        engine.act([NOOP] * 16)
        np.testing.assert_array_equal(engine.frames, before)


def test_an_engine_leaves_nothing_behind() -> None:
    def libraries() -> int:
        gc.collect()
        return sum(type(thing).__qualname__.endswith("FFILibrary") for thing in gc.get_objects())

    for _ in range(2):
        Engine(1).close()
    before = libraries()
    for _ in range(3):
        Engine(1).close()
    assert libraries() == before > 0


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UnknownNameError, match="unknown game 'hiest'; did you mean 'heist'"):
        Engine(1, game="hiest")
    with pytest.raises(UnknownNameError, match="unknown distribution_mode 'extreme'"):
        Engine(1, distribution_mode="extreme")
    with pytest.raises(ConfigError, match="num = 0"):
        Engine(0)
    with pytest.raises(ConfigError, match="coinrun has no distribution_mode 'memory'"):
        Engine(1, game="coinrun")
    with Engine(1) as engine:
        with pytest.raises(ConfigError, match="level seed -1"):
            engine.queue_level(0, -1)
        with pytest.raises(ConfigError, match="shape"):
            engine.act([1, 2])
        blob = engine.get_state(0)
        for bad in (b"", blob[:-1], b"x" * 1000, blob.replace(b"heist", b"ninja", 1)):
            with pytest.raises(EngineError, match="no state of heist"):
                engine.set_state(0, EngineState(bad))
        for call in (engine.get_state, lambda index: engine.set_state(index, blob)):
            with pytest.raises(ConfigError, match="game 99: expected 0 to 0"):
                call(99)


def test_bytes_from_elsewhere_never_reach_the_library() -> None:
    with Engine(1) as engine:
        engine.load_levels([1])
        blob = bytearray(engine.get_state(0))
        struct.pack_into("<i", blob, 8 + 5 + 68 + 4, 2**30)  # a generator's length: the library would end the process
        for put in (lambda state: engine.set_state(0, state), lambda state: engine.place(0, 1, state)):
            with pytest.raises(EngineError, match="state is of type bytes, expected what get_state"):
                put(bytes(blob))
        again = pickle.loads(pickle.dumps(engine.get_state(0)))
        engine.set_state(0, again)


def test_procgen_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(MissingDependencyError, match="procgen is not installed"):
        engine_module.Engine(1)


def test_a_script_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "gym.py").write_text("print('mine')\n", encoding="utf-8")
    code = (
        "from heist_encoders.engine import Engine\n"
        "from heist_encoders.errors import MissingDependencyError\n"
        "try:\n    Engine(1)\nexcept MissingDependencyError as error:\n    print(error)\n"
    )
    paths = [str(tmp_path), str(Path(heist_encoders.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert f"{tmp_path / 'gym.py'} hides a package of that name; rename the file" in done.stdout
    assert "not installed" not in done.stdout
