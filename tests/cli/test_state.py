"""The state of a run on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heist_encoders.errors import ConfigError
from heist_encoders.pipeline.run import plan
from heist_encoders.pipeline.state import RunOptions, open_state


def _options(**changes: object) -> RunOptions:
    return RunOptions.from_dict({"architectures": ["vae_paper"], **changes})


def test_a_finished_stage_is_known_after_reopening(tmp_path: Path) -> None:
    with open_state(tmp_path / "run", _options()) as state:
        state.finish("data", {"hash": "abc"}, 1.0)
    with open_state(tmp_path / "run", _options()) as state:
        assert state.result("data") == {"hash": "abc"}
        assert state.result("ppo") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 30_000}, "size 20000, but 30000 was given"),
        ({"mode": "memory"}, "mode easy, but memory"),
        ({"ppo_steps": 7}, "ppo-steps 0, but 7"),
        ({"policy_frames": 7}, f"policy-frames {RunOptions.model_fields['policy_frames'].default}, but 7"),
        ({"architectures": ["vae_paper", "vae_alex"]}, "architectures vae_paper, but vae_paper,vae_alex"),
    ],
)
def test_other_options_are_refused(tmp_path: Path, changes: dict[str, object], expected: str) -> None:
    with open_state(tmp_path / "run", _options()):
        pass
    with pytest.raises(ConfigError, match=expected), open_state(tmp_path / "run", _options(**changes)):
        pass


def test_foreign_folder_and_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match=r"no run\.json"), open_state(tmp_path, _options()):
        pass
    with pytest.raises(ConfigError, match="is a file"), open_state(tmp_path / "thesis.tex", _options()):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"options": 1}', '{"options": {}, "stages": {}}'])
def test_damaged_state_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged"), open_state(tmp_path, _options()):
        pass


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    with (
        open_state(tmp_path / "run", _options()),
        pytest.raises(ConfigError, match="another run"),
        open_state(tmp_path / "run", _options()),
    ):
        pass


def test_forgetting_takes_what_was_made_from_it(tmp_path: Path) -> None:
    with open_state(tmp_path / "run", _options()) as state:
        for stage in ("data", "sweep:a", "sweep:b", "evaluate:a", "evaluate:b", "train", "policy", "ppo", "report"):
            state.finish(stage, {}, 0.0)
        state.forget("sweep:a")
        assert list(state.stages) == ["data", "sweep:b", "evaluate:b"]
        state.forget("data")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["stages"] == {}


def test_plan_has_every_stage_once() -> None:
    stages = plan(_options(architectures=["vae_paper", "conv_unpool"]))
    keys = [stage.key for stage in stages]
    assert keys == [
        "data", "sweep:vae_paper", "sweep:conv_unpool", "evaluate:vae_paper", "evaluate:conv_unpool", "train", "policy",
        "report",
    ]  # fmt: skip
    keys = [stage.key for stage in plan(_options(ppo_steps=1, train_frames=0, policy_frames=0))]
    assert keys == ["data", "sweep:vae_paper", "evaluate:vae_paper", "ppo", "report"]


def test_a_run_on_defaults_is_planned_for_twelve_minutes() -> None:
    """The plan of all architectures; the seconds of a stage are estimates from rates of an idle core."""
    from heist_encoders.autoencoders import autoencoder_names
    from heist_encoders.tuning import space_names

    architectures = [name for name in autoencoder_names() if name in space_names()]
    assert len(architectures) >= 8
    assert sum(stage.seconds for stage in plan(_options(architectures=architectures[:8]))) < 12 * 60


def test_a_run_of_the_last_version_goes_on(tmp_path: Path) -> None:
    """Its file has the old names of two options, and lacks one."""
    with open_state(tmp_path / "run", _options()) as state:
        state.finish("data", {"hash": "abc"}, 1.0)
    path = tmp_path / "run" / "run.json"
    data = json.loads(path.read_text())
    for old, new in RunOptions.renamed.items():
        data["options"][old] = data["options"].pop(new)
    del data["options"]["evaluation_levels"]
    path.write_text(json.dumps(data))
    with pytest.warns(DeprecationWarning, match="'families' is now called 'architectures'"):
        options = RunOptions.from_dict({"families": ["vae_paper"]})
    with open_state(tmp_path / "run", options) as state:
        assert state.result("data") == {"hash": "abc"}
