"""Policy artifacts on the command line: clone, evaluate, play."""

from __future__ import annotations

from pathlib import Path

import pytest

from heist_encoders.cli.ppo import level_seeds
from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.errors import ConfigError
from tests.cli.helpers import Cli


def test_self_imitate_evaluate_play(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "own"
    sizes = ("--frames", 20_000, "--rounds", 1, "--passes", 0.2, "--levels", "3:6", "--json")
    made = cli.ok("self-imitate", "--encoder", "grid", "--mode", "easy", "--out", out, *sizes).json
    assert made["class"].startswith("Class A: encoder trained without labels, policy by reward alone")
    assert 0 < made["training"]["solved"] <= made["training"]["episodes"]
    assert "--out" in cli("self-imitate", "--encoder", "grid", "--mode", "easy", "--out", out, *sizes).error
    again = cli.ok("ppo", "evaluate", "--policy", out, "--mode", "easy", "--levels", "3:6", "--json").json
    assert again["return_mean"] == made["return_mean"]
    assert again["length_mean"] == made["length_mean"]
    film = cli.ok("play", "--policy", out, "--max-steps", 9, "--out", tmp_path / "own.gif", "--json").json
    assert film["frames"] > 1
    warm = ("ppo", "train", "--encoder", "grid", "--mode", "easy", "--warm-start", out, "--out", tmp_path / "ppo")
    assert "action_repeat = 1 does not go with the policy" in cli(*warm).error


def test_clone_evaluate_play(cli: Cli, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIST_ENCODERS_HOME", str(tmp_path / "home"))
    cli.ok("promote", trained, "--name", "conv_maxpool-cli")
    out = tmp_path / "home" / "policies" / "mine"
    options = ("--mode", "memory", "--frames", 100, "--levels", "3:6", "--json")
    made = cli.ok("clone", "--encoder", "conv_maxpool-cli", "--out", out, *options).json
    assert made["class"].startswith("Class D: learned from the oracle's moves; 100 labelled frames")
    assert made["num_levels"] == 3
    assert "--out" in cli("clone", "--encoder", "conv_maxpool-cli", "--out", out, *options).error

    options = ("--mode", "memory", "--frames", 100, "--levels", "3:4", "--dagger-steps", 1024, "--lstm", 4, "--json")
    remembering = cli.ok("clone", "--encoder", "conv_maxpool-cli", "--out", tmp_path / "remembering", *options).json
    assert remembering["class"].startswith("Class D: learned from the oracle's moves; 1,124 labelled frames")
    assert "an LSTM" in (tmp_path / "remembering" / "README.md").read_text(encoding="utf-8")

    by_name = cli.ok("ppo", "evaluate", "--policy", "mine", "--mode", "memory", "--levels", "3:6", "--json").json
    by_path = cli.ok(
        "ppo", "evaluate", out, "--levels", f"{EVALUATION_LEVELS[3]}:{EVALUATION_LEVELS[6]}", "--json"
    ).json
    for key in ("return_mean", "return_interval", "success_rate", "by_num_keys"):
        assert by_path[key] == by_name[key]
    assert by_name["return_mean"] == made["return_mean"]
    assert by_name["class"] == made["class"]
    assert "plays memory mode, asked for easy" in cli("ppo", "evaluate", "mine", "--mode", "easy").error

    film = tmp_path / "mine.gif"
    played = cli.ok("play", "--policy", "mine", "--max-steps", 5, "--out", film, "--json").json
    assert played["frames"] == played["episodes"][0]["length"] + 1
    assert played["width"] == 512, "frame and reconstruction by the policy's own encoder"
    assert film.is_file()


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [("5", 0, 5), ("10:12", 10, 2), (f"{EVALUATION_LEVELS.start + 7}:{EVALUATION_LEVELS.start + 8}", 7, 1)],
)
def test_levels(text: str, first: int, count: int) -> None:
    assert list(level_seeds(text)) == list(EVALUATION_LEVELS[first : first + count])


@pytest.mark.parametrize("text", ["", "0", "3:3", "4:3", "-1:3", "a:b", "1:", "0:1000000000", "1:2:3"])
def test_levels_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--levels"):
        level_seeds(text)
