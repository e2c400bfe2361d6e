"""--show-config, defaults in the help, shell completion, and where something goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml

from heist_encoders.cli.main import app
from tests.cli.helpers import Cli

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


def _commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, f"{path} {name}".strip())
    else:
        yield path, command


@pytest.mark.parametrize(("name", "command"), _commands(typer.main.get_command(app)))
def test_every_option_says_its_default(name: str, command: Any) -> None:
    for option in command.params:
        if option.param_type_name != "option" or option.hidden or option.required:
            continue
        text = option.help or ""
        switch = option.is_flag and not option.secondary_opts and not option.default
        shown = isinstance(option.show_default, str) or (option.show_default and option.default not in (None, (), []))
        assert switch or shown or "Default" in text or "Needed" in text, f"{name} {option.opts}: {text}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "vae_paper", "--max-epochs", 3),
        ("tune", "vae_alex", "--preset", "smoke", "--samples", 3),
        ("generate", "--size", 77, "--mode", "easy"),
        ("ppo", "train", "--seeds", "0,1", "--log", "tensorboard", "--evaluate-every", 3, "--steps", 99),
    ],
)
def test_show_config(cli: Cli, arguments: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = cli.ok(*arguments, "--show-config", *(("--out", "x") if arguments[0] != "tune" else ())).out
    assert list(tmp_path.iterdir()) == [], "nothing is written"
    file = tmp_path / "shown.yaml"
    file.write_text(shown)
    again = {
        "train": ("train", file),
        "tune": ("tune", file),
        "ppo": ("ppo", "train", "--config", file),
    }.get(arguments[0])
    if again is not None:
        assert cli.ok(*again, "--show-config").out == shown, "the command reads what it showed"
    else:
        from heist_encoders.data.manifest import DatasetSpec

        assert DatasetSpec.from_yaml(file) == DatasetSpec(size=77, distribution_mode="easy")


def test_show_config_of_a_conditional_space(cli: Cli, tmp_path: Path) -> None:
    data = yaml.safe_load(cli.ok("tune", "vae_paper", "--show-config", "--seed", 5).out)
    share = data["space"]["loss"]["class_share"]
    assert set(share) == {"choice", "when", "otherwise"}
    assert data["sweep"]["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("train", "vae_paper"), "--out"),
        (("tune", "vae_paper", "--out", "x"), "--data"),
        (("tune", "vae_paper", "--data", "x"), "--out"),
        (("generate",), "--out"),
        (("ppo", "train"), "--out"),
    ],
)
def test_what_only_show_config_does_without(cli: Cli, arguments: tuple[str, ...], option: str) -> None:
    assert f"missing option '{option}'" in cli(*arguments).error


@pytest.mark.parametrize("seeds", ["", "a", "1,", "1,,2", "-1"])
def test_seeds_that_are_none(cli: Cli, seeds: str) -> None:
    assert "--seeds" in cli("ppo", "train", f"--seeds={seeds}", "--show-config").error


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_does_not_answer(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    import ray

    from heist_encoders import ray_session

    start = ray_session.start_ray

    def without_other_tests_ray(address: str | None = None, cpus: int = 0) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(ray, "is_initialized", lambda: False)
            return start(address, cpus)

    monkeypatch.setattr(ray_session, "start_ray", without_other_tests_ray)
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        line = cli("ppo", "train", "--encoder", "vae_alex", "--address", address, "--out", tmp_path / "x").error
    assert line.startswith(f"error: no Ray cluster answers at '{address}'")
    assert not (tmp_path / "x").exists()


def test_shell_completion(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    out = cli.ok("--help").out
    assert "--install-completion" in out
    assert "--show-completion" in out
    monkeypatch.setenv("_HEIST_ENCODERS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "heist-encoders ppo ev")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setattr("sys.argv", ["heist-encoders"])
    assert "evaluate" in cli().out


@pytest.mark.parametrize(("epochs", "said"), [((0, 0, 1), []), ((2, 2, 3), ["going on at epoch 3"])])
def test_training_says_where_it_goes_on(epochs: tuple[int, ...], said: list[str]) -> None:
    from heist_encoders.cli.train import going_on

    heard: list[str] = []
    hear = going_on(heard.append)
    for epoch in epochs:
        hear(epoch)
    assert heard == said


def test_generation_says_where_it_goes_on(cli: Cli, small_dataset: Dataset) -> None:
    again = cli.ok("generate", "--size", 512, "--seed", 7, "--out", small_dataset.path)
    assert "all frames are there already" in again.err


def test_captions() -> None:
    import numpy as np

    from heist_encoders.evaluation.captions import BAR, caption, captioned

    assert caption(3, 10.0, 7) == "step 3, return 10, right"
    assert caption(4, 0.0, None) == "step 4, return 0, end"
    picture = captioned(np.full((64, 128, 3), 9, np.uint8), "step 3")
    assert picture.shape == (64 + BAR, 128, 3)
    assert (picture[BAR:] == 9).all()
    assert (picture[:BAR] == 0).any()
