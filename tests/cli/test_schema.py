"""Flags made of a schema: those of ``ppo train`` and ``tune`` are the options of Python and YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from heist_encoders.rllib.run_options import PPORunOptions
from tests.cli.helpers import Cli


def shown(cli: Cli, *arguments: object) -> dict[str, object]:
    return dict(yaml.safe_load(cli.ok("ppo", "train", *arguments, "--show-config").out))


def test_all_options_are_shown_and_nothing_is_written(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(cli, "--out", tmp_path / "ppo") == PPORunOptions().to_dict()
    assert list(tmp_path.iterdir()) == []


def test_every_option_has_a_flag(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    out = cli.ok("ppo", "train", "--help").out
    for name in PPORunOptions.model_fields:
        flag = "--mode" if name == "distribution_mode" else "--" + name.rstrip("_").replace("_", "-")
        assert flag in out
    assert "--via" not in out


def test_flags_win_over_the_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "ppo.yaml"
    path.write_text("encoder: vae_alex\nlstm: true\nnum_envs: 8\nthreads: null\n")
    options = shown(cli, "--config", path, "--num-envs", 16, "--no-lstm", "--mode", "easy", "--fine-tune", 0.5,
                    "--placement", "module")  # fmt: skip
    assert options == PPORunOptions(
        encoder="vae_alex", lstm=False, num_envs=16, threads=None, distribution_mode="easy", fine_tune=0.5,
        placement="module",
    ).to_dict()  # fmt: skip
    path.write_text(yaml.safe_dump(options))
    assert shown(cli, "--config", path) == options


def test_the_old_name_of_a_flag(cli: Cli) -> None:
    done = cli.ok("ppo", "train", "--via", "module", "--show-config")
    assert yaml.safe_load(done.out)["placement"] == "module"
    assert "--via is now called --placement" in done.err


def test_the_old_names_of_flags_of_run(cli: Cli, tmp_path: Path) -> None:
    assert "famil" not in cli.ok("run", "--help").out
    done = cli("run", "--out", tmp_path / "x", "--families", "vae_papr", "--seconds-per-family", 2)
    *notes, error = done.err.splitlines()
    assert [line.split(";")[0] for line in notes] == [
        "--families is now called --architectures",
        "--seconds-per-family is now called --seconds-per-architecture",
    ]
    assert "did you mean 'vae_paper'" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--placement", "modul", "--show-config"], "did you mean 'module'"),
        (["--num-envs", "0", "--show-config"], "num_envs = 0"),
        (["--num-envs", "5", "--num-env-runners", "2", "--show-config"], "multiple of num_env_runners"),
        (["--config", "nowhere.yaml", "--show-config"], "no such config file"),
        (["--encoder", "vae_paper"], "--out"),
    ],
)
def test_one_line(cli: Cli, arguments: list[str], expected: str) -> None:
    assert expected in cli("ppo", "train", *arguments).error


def test_unknown_key_in_the_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "ppo.yaml"
    path.write_text("num_env: 8\n")
    line = cli("ppo", "train", "--config", path, "--out", tmp_path / "out").error
    assert "ppo.yaml: unknown key 'num_env'; did you mean 'num_envs'" in line
    assert not (tmp_path / "out").exists()
