"""Every listed level is played once, whole, whoever plays; training to disk resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.errors import ArtifactError, ConfigError, UnknownNameError
from heist_encoders.rllib import evaluate_policy, train_ppo

EASY = {"distribution_mode": "easy"}


def test_oracle_solves_every_level_once() -> None:
    found = evaluate_policy("oracle", levels=12, env_config=EASY, num_games=5)
    assert [level.level_seed for level in found.levels] == list(EVALUATION_LEVELS[:12])
    assert found.success_rate == 1.0
    assert found.mean_return == 10.0
    assert found.env_steps == sum(level.length for level in found.levels)
    figures = found.to_dict()
    assert sum(part["num_levels"] for part in figures["by_num_keys"].values()) == 12
    # The length of the batch changes nothing, nor does the company of other levels.
    again = evaluate_policy("oracle", levels=list(EVALUATION_LEVELS[:12])[::-1], env_config=EASY, num_games=12)
    assert again.levels[::-1] == found.levels


def test_random_player_is_the_same_for_the_same_seed() -> None:
    first, second, other = (
        evaluate_policy("random", levels=6, env_config=EASY, num_games=6, seed=seed) for seed in (1, 1, 2)
    )
    assert first.levels == second.levels != other.levels
    for level in first.levels:
        assert level.episode_return == (10.0 if level.success else 0.0)
        assert level.success or level.length == 1_000


def test_other_games_are_evaluated_without_keys() -> None:
    found = evaluate_policy(
        "random", levels=3, env_config={"game": "bigfish", "distribution_mode": "easy", "actions": "all"}
    )
    assert list(found.to_dict()["by_num_keys"]) == ["-1"]


@pytest.mark.parametrize(
    ("policy", "options", "error"),
    [
        ("rndom", {}, UnknownNameError),
        ("random", {"levels": 0}, ConfigError),
        ("/nowhere/at/all", {}, ArtifactError),
    ],
)
def test_bad_policies(policy: str, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        evaluate_policy(policy, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("ray_local")
def test_training_resumes_and_is_evaluated(tiny: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run"

    def killed(line: dict[str, Any]) -> None:
        if line["iteration"] == 3:
            raise KeyboardInterrupt

    def config() -> Any:
        return tiny(evaluation_levels=1, evaluation_interval=2)

    with pytest.raises(KeyboardInterrupt):
        train_ppo(config(), steps=256, out=out, callback=killed, checkpoint_seconds=0.0)
    seen: list[dict[str, Any]] = []
    result = train_ppo(config(), steps=256, out=out, callback=seen.append)
    # The third iteration had no checkpoint yet: it is trained again.
    assert [line["iteration"] for line in seen] == [3, 4]
    assert [line["iteration"] for line in result.history] == [1, 2, 3, 4]
    assert [line["env_steps"] for line in result.history] == [64, 128, 192, 256]
    assert result.history[1]["evaluation"]["mean_length"] <= 1_000
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert lines == result.history
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == ["000002", "000004"]

    again = train_ppo(config(), steps=256, out=out, callback=lambda line: pytest.fail("nothing is left to train"))
    assert again.checkpoint == result.checkpoint
    assert len(evaluate_policy(out, levels=1).levels) == 1
    with pytest.raises(ConfigError, match=r"lr = 0\.0005, here 0\.01"):
        train_ppo(config().training(lr=0.01), steps=256, out=out)
    with pytest.raises(ConfigError, match="already holds"):
        train_ppo(config(), steps=256, out=out, resume=False)


def test_folders_that_cannot_be_used(tiny: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, words in ((tmp_path / "file", "a file is in the way"), (tmp_path, "holds other files")):
        with pytest.raises(ConfigError, match=words):
            train_ppo(tiny(), steps=64, out=out)
    with pytest.raises(ConfigError, match="steps = 0"):
        train_ppo(tiny(), steps=0, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
