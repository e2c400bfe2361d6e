"""Episodes that begin elsewhere than at a level's own start: asked for, restored, drawn, and by a curriculum."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from heist_encoders.engine import Engine
from heist_encoders.envs import HeistEnv, make_env, make_vector_env
from heist_encoders.errors import ConfigError, HeistEncodersError
from heist_encoders.tasks.heist.levels import LevelBank
from heist_encoders.tasks.heist.placing import make_bank
from heist_encoders.tasks.heist.solver import Oracle
from heist_encoders.tasks.heist.starts import HeistStartStates
from heist_encoders.tasks.heist.state import KEY, parse_state
from heist_encoders.tasks.heist.stratified import Poses, touches
from heist_encoders.tasks.heist.ways import target_index
from heist_encoders.tasks.ways import STEPS

MODES = ("easy", "hard", "memory")


def random_situation(bank: LevelBank, row: int, random: np.random.Generator) -> dict[str, Any]:
    progress = int(random.integers(2 * int(bank.num_keys[row]) + 1))
    y, x = random.choice(np.argwhere(bank.gates[row] <= progress))
    return {"level_seed": int(bank.seeds[row]), "progress": progress, "cell": (int(x), int(y))}


def play_to_the_exit(env: HeistEnv, oracle: Oracle) -> tuple[float, int]:
    """Return and length of the oracle's episode."""
    for step in range(1, 1_001):
        _, reward, terminated, truncated, _ = env.step(oracle.action(env.get_state()))
        if terminated or truncated:
            return reward, step
    raise AssertionError("the episode did not end")


def expected_frame(mode: str, blob: bytes, level_seed: int) -> Any:
    """What the sampler draws for the situation that a state says."""
    state = parse_state(blob)
    x, y, rotation = state.agent
    with Engine(1, distribution_mode=mode) as engine:
        bank = LevelBank(engine, [level_seed])
        xy, turned = np.array([[x, y]], np.float32), np.array([rotation], np.float32)
        return engine.draw(bank.states(np.zeros(1, np.int64), np.array([state.progress], np.int8), xy, turned))[0]


@pytest.mark.parametrize("mode", MODES)
def test_asked_for_situations_are_drawn_exactly_and_can_be_won(mode: str) -> None:
    env, oracle, random = make_env(None, distribution_mode=mode), Oracle(), np.random.default_rng(0)
    env.reset(seed=3)
    control = make_env(None, distribution_mode=mode)
    control.reset(seed=3)
    bank = make_bank(mode, False, list(range(100, 125)))
    for row in range(len(bank)):
        wanted = random_situation(bank, row, random)
        frame, info = env.reset(options=wanted)
        state = parse_state(env.get_state())
        assert state.progress == info["start"]["progress"] == wanted["progress"]
        assert state.agent[:2] == tuple(c + 0.5 for c in wanted["cell"])
        assert info["level_seed"] == wanted["level_seed"] == state.level_seed
        np.testing.assert_array_equal(frame, expected_frame(mode, env.get_state(), wanted["level_seed"]))
        reward, steps = play_to_the_exit(env, oracle)
        assert reward == 10
        # The agent goes about one cell in two steps; what it fetches on the way it need only touch.
        assert steps >= 0.5 * (info["start"]["distance"] - 3 * 7)
        if row % 5 == 0:  # then the stream goes on where it was, at the level's own start
            observation, info = env.reset()
            expected, expected_info = control.reset()
            assert info["level_seed"] == expected_info["level_seed"]
            assert "start" not in info
            np.testing.assert_array_equal(observation, expected)


@pytest.mark.parametrize("mode", MODES)
def test_the_true_start_asked_for_is_the_true_start(mode: str) -> None:
    """Every field that matters for play is as the engine itself sets it: the same moves lead to the same frames."""
    bank = make_bank(mode, False, list(range(30, 38)))
    asked, plain = (make_vector_env(None, num_envs=8, distribution_mode=mode) for _ in range(2))
    options = {"level_seed": bank.seeds, "progress": 0, "cell": bank.starts}
    frames, info = asked.reset(seed=0, options=options)
    assert info["_start"].all()
    np.testing.assert_array_equal(frames, plain.reset(seed=0, options={"level_seed": bank.seeds})[0])
    random = np.random.default_rng(1)
    for _ in range(150):
        actions = random.integers(0, 15, 8)
        for left, right in zip(asked.step(actions)[:4], plain.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("mode", MODES)
def test_saved_states_go_on_as_they_would_have(mode: str) -> None:
    env, other, oracle = *(make_env(None, distribution_mode=mode) for _ in range(2)), Oracle()
    random = np.random.default_rng(2)
    for level in range(6):
        env.reset(options={"level_seed": level})
        for _ in range(int(random.integers(1, 40))):
            action = oracle.action(env.get_state()) if random.random() < 0.8 else int(random.integers(9))
            if env.step(action)[2]:
                env.reset(options={"level_seed": level})
        blob = env.get_state()
        frame, info = other.reset(options={"state": blob})
        np.testing.assert_array_equal(frame, expected_frame(mode, blob, level))
        assert info["level_seed"] == level
        assert info["start"]["progress"] == parse_state(blob).progress
        assert info["start"]["distance"] > 0
        for _ in range(60):
            action = oracle.action(env.get_state()) if random.random() < 0.8 else int(random.integers(9))
            left, right = env.step(action), other.step(action)
            np.testing.assert_array_equal(left[0], right[0])
            assert left[1:4] == right[1:4]
            if left[2] or left[3]:
                break


def test_a_saved_state_remembers_the_games_time_limit() -> None:
    env = make_env(None, distribution_mode="easy")
    env.reset(options={"level_seed": 3})
    for _ in range(990):
        env.step(4)
    other = make_env(None, distribution_mode="easy")
    other.reset(options={"state": env.get_state()})
    ends = [other.step(4)[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]
    with pytest.raises(ResetNeeded):
        other.get_state()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_states_never_reach_the_library(seed: int) -> None:
    """It would end the process. What passes for a state can be played on."""
    env = make_env(None, distribution_mode="easy")
    env.reset(seed=1)
    blob = env.get_state()
    random = np.random.default_rng(seed)
    body = blob.index(b" 0 ") if b" 0 " in blob else 400
    refused = 0
    for _ in range(60):
        kind = random.integers(4)
        damaged = bytearray(blob)
        if kind == 0:
            damaged = damaged[: random.integers(len(damaged))]
        elif kind == 1:
            damaged = damaged + bytes(random.integers(1, 50))
        else:
            for _ in range(int(random.integers(1, 20))):
                where = random.integers(len(blob) - 2_500, len(blob)) if kind == 3 else random.integers(body)
                damaged[where] = random.integers(256)
        try:
            env.reset(options={"state": bytes(damaged)})
        except HeistEncodersError:
            refused += 1
            continue
        for _ in range(5):
            if any(env.step(int(random.integers(9)))[2:4]):
                break
    assert refused >= 20


@pytest.mark.parametrize("state", [b"", "text", 3, b"x" * 600])
def test_no_states(state: Any) -> None:
    with pytest.raises(HeistEncodersError, match=r"expected what|expected the bytes|no state"):
        make_env(None, distribution_mode="easy").reset(options={"state": state})


def test_states_of_other_environments_are_refused() -> None:
    easy, hard = (make_env(None, distribution_mode=mode) for mode in ("easy", "hard"))
    easy.reset(seed=0)
    with pytest.raises(HeistEncodersError, match="distribution_mode"):
        hard.reset(options={"state": easy.get_state()})


def first(bank: LevelBank, holds: Callable[[LevelBank, int], bool]) -> int:
    return next(row for row in range(len(bank)) if holds(bank, row))


def test_impossible_situations() -> None:
    bank = make_bank("easy", False, list(range(50)))
    row = first(bank, lambda bank, row: bank.num_keys[row] == 2)
    env, level = make_env(None, distribution_mode="easy"), int(bank.seeds[row])
    key, exit_ = (tuple(int(c) for c in np.floor(bank.positions[row, element])) for element in (0, 6))
    y, x = np.argwhere((bank.gates[row] == 2) | (bank.gates[row] == 3))[0]
    wall_y, wall_x = np.argwhere(~bank.free[row])[0]
    start = tuple(bank.starts[row].tolist())
    cases: list[tuple[dict[str, Any], str]] = [
        ({"progress": 5, "cell": start}, "progress = 5: level .* has 2 keys, expected a whole number in 0..4"),
        ({"progress": -1, "cell": start}, "expected a whole number in 0..4"),
        ({"progress": 1.5, "cell": start}, "expected a whole number in 0..4"),
        ({"progress": 0, "cell": key}, "holds key_blue at progress 0"),
        ({"progress": 4, "cell": exit_}, "holds exit at progress 4"),
        ({"progress": 0, "cell": (x, y)}, "is reached from progress [23] on, not at progress 0"),
        ({"progress": 0, "cell": (wall_x, wall_y)}, "is a wall"),
        ({"progress": 0, "cell": (9, 0)}, "whole numbers in 0..8"),
        ({"progress": 0, "cell": (1.5, 0)}, "whole numbers in 0..8"),
        ({"progress": 0, "cell": 3}, "expected two numbers"),
        ({"progress": 0, "cell": start, "offset": (0, 1)}, "offset"),
        ({"progress": 0, "cell": start, "offset": (0.0, 0.0)}, "touch|stand in a wall"),
        ({"progress": 0, "cell": start, "rotation": float("nan")}, "radians"),
        ({"progress": 0}, "progress without cell"),
        ({"cell": start}, "cell without progress"),
        ({"progress": 0, "cell": start, "state": b""}, "state alone"),
    ]
    for options, message in cases:
        with pytest.raises(ConfigError, match=message) as error:
            env.reset(options={"level_seed": level, **options})
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="without level_seed"):
        env.reset(options={"progress": 0, "cell": start})
    assert env.reset(options={"level_seed": level, "progress": 1, "cell": key})[1]["start"]["progress"] == 1


def test_an_agent_may_stand_off_the_middle() -> None:
    bank = make_bank("easy", False, [4])
    env = make_env(None, distribution_mode="easy")
    cell = tuple(bank.starts[0].tolist())
    env.reset(options={"level_seed": 4, "progress": 0, "cell": cell, "offset": (0.55, 0.45), "rotation": np.pi / 2})
    x, y, rotation = parse_state(env.get_state()).agent
    assert (x, y, rotation) == pytest.approx((cell[0] + 0.55, cell[1] + 0.45, np.pi / 2), abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distribution", ["uniform", "balanced", "curriculum"])
def test_drawn_starts_are_drawn_exactly_and_can_be_won(mode: str, distribution: str) -> None:
    options: dict[str, Any] = {"start_share": 1.0, "start_distribution": distribution, "curriculum_bound": 12}
    env, oracle = make_env(None, distribution_mode=mode, **options), Oracle()
    frame, info = env.reset(seed=5)
    elsewhere = 0
    for _ in range(12):
        elsewhere += "start" in info
        state = parse_state(env.get_state())
        if "start" in info:
            assert state.progress == info["start"]["progress"]
            assert [int(c) for c in state.agent[:2]] == info["start"]["cell"].tolist()
            assert distribution != "curriculum" or 0 < info["start"]["distance"] <= info["curriculum_bound"]
        np.testing.assert_array_equal(frame, expected_frame(mode, env.get_state(), info["level_seed"]))
        assert play_to_the_exit(env, oracle)[0] == 10
        frame, info = env.reset()
    assert elsewhere >= 6


@pytest.mark.parametrize("distribution", ["uniform", "balanced"])
def test_drawn_starts_in_a_vector_are_those_of_single_environments(distribution: str) -> None:
    options: dict[str, Any] = {"start_share": 0.6, "start_distribution": distribution, "time_limit": 40}
    options |= {"distribution_mode": "easy", "actions": "moves"}
    vector = make_vector_env(None, num_envs=5, frames_in_info=True, **options)
    sync = SyncVectorEnv([lambda: make_env(None, **options)] * 5, autoreset_mode=AutoresetMode.NEXT_STEP)
    random, oracle = np.random.default_rng(3), Oracle()
    results = [(vector.reset(seed=8), sync.reset(seed=8))]
    for _ in range(300):
        actions = random.integers(0, 9, 5)
        actions[:3] = [oracle.action(vector.engine.get_state(i)) for i in range(3)]
        results.append((vector.step(actions), sync.step(actions)))
    for given, wanted in results:
        for left, right in zip(given[:-1], wanted[:-1], strict=True):
            np.testing.assert_array_equal(left, right)
        same_info(given[-1], wanted[-1])
    assert sum(given[-1].get("_start", np.zeros(1)).sum() for given, _ in results) > 20
    assert sum(given[3].sum() for given, _ in results[1:]) > 5


def same_info(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert given.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, dict):
            same_info(given[key], value)
        else:
            np.testing.assert_array_equal(given[key], value, err_msg=key)


@pytest.mark.parametrize("distribution", ["uniform", "curriculum"])
def test_the_same_seed_gives_the_same_starts(distribution: str) -> None:
    def play(seed: int) -> list[Any]:
        env = make_vector_env(
            None, num_envs=6, distribution_mode="easy", start_share=0.8, start_distribution=distribution,
            curriculum_window=5, time_limit=30,
        )  # fmt: skip
        random, oracle = np.random.default_rng(0), Oracle()
        said = [env.reset(seed=seed)[0]]
        for _ in range(200):
            actions = random.integers(0, 9, 6)
            actions[::2] = [oracle.action(env.engine.get_state(i)) for i in range(0, 6, 2)]
            said += env.step(actions)[:4]
        return [*said, np.array([(env.curriculum or {}).get("bound", 0)])]

    first, second, third = play(1), play(1), play(2)
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)
    assert (first[0] != third[0]).any()


def test_levels_are_those_of_play_without_drawn_starts() -> None:
    plain = make_env(None, distribution_mode="easy")
    drawn = make_env(None, distribution_mode="easy", start_share=0.5)
    expected = [plain.reset(seed=4)[1]["level_seed"]] + [plain.reset()[1]["level_seed"] for _ in range(40)]
    infos = [drawn.reset(seed=4)[1]] + [drawn.reset()[1] for _ in range(40)]
    assert [info["level_seed"] for info in infos] == expected
    assert 10 <= sum("start" in info for info in infos) <= 31
    assert drawn.reset(options={"level_seed": 9})[1].keys() == plain.reset(options={"level_seed": 9})[1].keys()


def test_uniform_starts_are_uniform_over_progress() -> None:
    env = make_vector_env(None, num_envs=64, distribution_mode="easy", num_levels=1, start_level=_three_keys(),
                          start_share=1.0)  # fmt: skip
    seen = np.concatenate([env.reset(seed=64 * i)[1]["start"]["progress"] for i in range(8)])
    counts = np.bincount(seen, minlength=7)
    assert len(counts) == 7
    assert counts.min() > 40  # 73 expected


def _three_keys() -> int:
    bank = make_bank("easy", False, list(range(50)))
    return first(bank, lambda bank, row: bank.num_keys[row] == 3)


def test_time_limit_truncates_with_the_real_last_frame() -> None:
    short = make_vector_env(None, num_envs=4, distribution_mode="hard", time_limit=25)
    plain = make_vector_env(None, num_envs=4, distribution_mode="hard")
    np.testing.assert_array_equal(short.reset(seed=2)[0], plain.reset(seed=2)[0])
    random = np.random.default_rng(0)
    for step in range(1, 26):
        actions = random.integers(0, 15, 4)
        left, right = short.step(actions), plain.step(actions)
        np.testing.assert_array_equal(left[0], right[0])
        assert left[3].tolist() == [step == 25] * 4
        assert not left[2].any()
    after = short.step(actions)
    assert not (after[2] | after[3]).any()
    np.testing.assert_array_equal(after[0], plain.reset()[0])
    for step in range(1, 26):
        assert short.step(actions)[3].all() == (step == 25)


def test_time_limit_holds_in_other_games() -> None:
    env = make_env(None, game="bigfish", distribution_mode="easy", time_limit=3)
    env.reset(seed=0)
    assert [env.step(4)[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("mode", ["easy", "memory"])
def test_shaping_pays_for_the_way_and_only_for_that(mode: str) -> None:
    env, oracle = make_env(None, distribution_mode=mode, shaping=0.25), Oracle()
    for level in (3, 4):
        env.reset(options={"level_seed": level})
        length = int(make_bank(mode, False, [level]).path_lengths[0][_situation(env.get_state())])
        rewards, done = [], False
        while not done:
            _, reward, *ends, _ = env.step(oracle.action(env.get_state()))
            rewards.append(reward)
            done = any(ends)
        assert sum(rewards) == pytest.approx(10 + 0.25 * length)
        assert np.mean(np.array(rewards[:-1]) > 0) > 0.9  # at once, not where a cell's border is crossed or at the end
        # What was paid is how much nearer the agent is, however it came there: going round in a circle pays nothing.
        env.reset(options={"level_seed": level})
        paid, random = 0.0, np.random.default_rng(level)
        for _ in range(200):
            _, reward, *ends, _ = env.step(random.integers(0, 9))
            if any(ends):
                break
            paid += reward
            assert paid == pytest.approx(0.25 * (length - _way(env.get_state(), mode)), abs=1e-4)


def _situation(blob: bytes) -> tuple[int, int, int]:
    state = parse_state(blob)
    return state.progress, int(state.agent[1]), int(state.agent[0])


def _way(blob: bytes, mode: str) -> float:
    """The way to the exit in cells: of the agent's cell, less how far the agent is along, more how far beside."""
    state, (progress, y, x) = parse_state(blob), _situation(blob)
    bank = make_bank(mode, False, [state.level_seed])
    target = target_index(bank.num_keys, np.array([progress], np.int8))
    step = STEPS[bank.ways.directions(np.array([0]), target, np.array([[x, y]]))[0]]
    off = np.array([state.agent[0] - x - 0.5, state.agent[1] - y - 0.5])
    return float(bank.path_lengths[0, progress, y, x] - step @ off + abs(off[step == 0]).sum())


@pytest.mark.parametrize("repeat", [1, 3])
def test_shaped_vectors_are_shaped_singles(repeat: int) -> None:
    options: dict[str, Any] = {"shaping": 0.5, "start_share": 0.5, "time_limit": 30, "distribution_mode": "easy"}
    options["action_repeat"] = repeat
    vector = make_vector_env(None, num_envs=4, **options)
    sync = SyncVectorEnv([lambda: make_env(None, **options)] * 4, autoreset_mode=AutoresetMode.NEXT_STEP)
    random, oracle = np.random.default_rng(1), Oracle()
    vector.reset(seed=3)
    sync.reset(seed=3)
    seen = np.zeros(4)
    for _ in range(120):
        actions = random.integers(0, 9, 4)
        actions[0] = oracle.action(vector.engine.get_state(0))
        left, right = vector.step(actions), sync.step(actions)
        np.testing.assert_array_equal(left[1], right[1])
        seen += np.abs(left[1])
    assert (seen > 0).all()
    # Games that are left alone are paid as if the others had not been reset.
    for _ in range(60):
        vector.reset(options={"reset_mask": np.array([True, False, False, False])})
        actions = random.integers(0, 9, 4)
        actions[1] = oracle.action(vector.engine.get_state(1))
        np.testing.assert_array_equal(vector.step(actions)[1][1:], sync.step(actions)[1][1:])


def test_an_unknown_distance_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    env, oracle = make_env(None, distribution_mode="easy", shaping=1.0), Oracle()
    env.reset(options={"level_seed": 3})
    env.step(oracle.action(env.get_state()))
    monkeypatch.setattr(HeistStartStates, "distances", lambda self, *_: np.full(1, -1.0))
    env.reset(options={"level_seed": 4})
    monkeypatch.undo()
    assert env.step(oracle.action(env.get_state()))[1] == 0


def test_starts_and_masks_in_a_vector() -> None:
    env = make_vector_env(None, num_envs=3, distribution_mode="easy")
    env.reset(seed=0)
    for _ in range(5):
        env.step([0, 1, 2])
    states = env.get_states()
    before = env.step([4, 4, 4])[0]
    bank = make_bank("easy", False, [7])
    cell = bank.starts[0].tolist()
    mask = np.array([False, True, False])
    options = {"level_seed": 7, "progress": 0, "cell": cell, "reset_mask": mask}
    observation, info = env.reset(options=options)
    np.testing.assert_array_equal(observation[~mask], before[~mask])
    assert info["_start"].tolist() == mask.tolist()
    assert info["start"]["cell"][1].tolist() == cell
    observation, info = env.reset(options={"state": states})
    np.testing.assert_array_equal(env.step([4, 4, 4])[0], before)
    each = {"level_seed": [7, 7, 7], "progress": [0, 0, 0], "cell": [cell] * 3}
    assert env.reset(options=each)[1]["start"]["progress"].tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match="progress holds 2 values, expected 1 or 3"):
        env.reset(options={**each, "progress": [0, 0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_share": 1.5}, "start_share = 1.5"),
        ({"start_share": 1.0, "start_distribution": "random"}, "unknown start_distribution 'random'"),
        ({"start_distribution": "curriculum"}, "draws no start"),
        ({"time_limit": 0}, "time_limit = 0"),
        ({"time_limit": 1_001}, "time_limit = 1001: heist has a limit of 1000 itself"),
        ({"time_limit": 501, "game": "maze", "distribution_mode": "easy"}, "expected 1..500"),
        ({"start_shares": 1.0}, "did you mean 'start_share'"),
        ({"start_share": 1.0, "curriculum_threshold": 0}, "curriculum_threshold"),
        ({"shaping": -1.0}, "shaping = -1"),
        ({"shaping": 0.1, "game": "chaser", "distribution_mode": "easy"}, "shaping with game = 'chaser'"),
        ({"start_share": 1.0, "game": "chaser", "distribution_mode": "easy"}, "start_share with game = 'chaser'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    for make in (make_env, lambda encoder, **given: make_vector_env(encoder, num_envs=2, **given)):
        with pytest.raises(HeistEncodersError, match=re.escape(message)) as error:
            make(None, **options)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"state": b"x"}, {"level_seed": 1, "progress": 0, "cell": (1, 1)}])
def test_other_games_cannot_be_placed(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="with game = 'maze'"):
        make_env(None, game="maze", distribution_mode="easy").reset(options=options)


def test_hud_keys_and_doors_go_on_from_a_placed_state() -> None:
    """A key picked up after a placed start is held, and shown as the sampler draws it."""
    level = _three_keys()
    bank = make_bank("easy", False, [level])
    env, oracle = make_env(None, distribution_mode="easy"), Oracle()
    gate = 2  # behind the first door
    y, x = np.argwhere(bank.gates[0] == gate)[0]
    env.reset(options={"level_seed": level, "progress": gate, "cell": (x, y)})
    seen = []
    for _ in range(300):
        state = parse_state(env.get_state())
        seen.append((state.progress, int(state.held.sum()), len(state.positions(KEY))))
        frame, _, terminated, _, _ = env.step(oracle.action(env.get_state()))
        if terminated:
            break
        np.testing.assert_array_equal(frame, expected_frame("easy", env.get_state(), level))
    assert terminated
    assert sorted(set(seen)) == [(2, 1, 2), (3, 2, 1), (4, 2, 1), (5, 3, 0), (6, 3, 0)]


def test_stances_are_the_samplers() -> None:
    """Drawn starts stand in their cells as played agents do: off the middle, and touching nothing."""
    env = make_vector_env(None, num_envs=64, distribution_mode="memory", start_share=1.0)
    env.reset(seed=0)
    states = [parse_state(blob) for blob in env.get_states()]
    poses = np.array([state.agent for state in states], np.float32)
    bank = make_bank("memory", False, [state.level_seed for state in states])
    progress = np.array([state.progress for state in states], np.int8)
    assert not touches(bank, Poses(np.arange(64), progress, poses[:, :2], poses[:, 2])).any()
    assert len(np.unique(poses[:, 2])) >= 4
    assert (np.abs(poses[:, :2] % 1 - 0.5) > 0.01).mean() > 0.3
