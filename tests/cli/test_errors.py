"""Bad input: one line on stderr, exit status 2, nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.helpers import Cli, finish, start

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["generat"], "No such command"),
        (["generate"], "--out"),
        (["generate", "--out", "x", "--size", "many"], "--size"),
        (["generate", "--out", "x", "--size", "0"], "--size"),
        (["generate", "--out", "x", "--mode", "memori"], "did you mean 'memory'?"),
        (["generate", "--out", "x", "--game", "heits"], "did you mean 'heist'"),
        (["generate", "--out", "x", "--balance", "elments"], "did you mean 'elements'"),
        (["generate", "--out", "x", "--game", "coinrun", "--balance", "elements"], "it can have natural, basic"),
        (["generate", "--out", "x", "--game", "coinrun", "--mode", "memory"], "it has easy, hard"),
        (["generate", "--out", ""], "the path is empty"),
        (["train", "vae_paper", "--data", "d", "--out", ""], "the path is empty"),
        (["tune", "vae_paper", "--data", "d", "--out", ""], "the path is empty"),
        (["export", "d", "--npy", "~nobody-of-that-name"], "no home folder is known"),
        (["verify", "x"], "x is not a dataset"),
        (["repair", "x"], "x is not a dataset"),
        (["export", "x", "--npy", "y"], "x is not a dataset"),
        (["train", "vae_papr", "--data", "d", "--out", "x"], "did you mean 'vae_paper'"),
        (["train", "missing.yaml", "--data", "d", "--out", "x"], "no such config file"),
        (["tune", "vae_papr", "--data", "d", "--out", "x"], "did you mean 'vae_paper'"),
        (["report", "x"], "unknown encoder 'x'"),
        (["promote", "x"], "no such artifact: x"),
        (["ppo", "train", "--encoder", "vae_papr", "--out", "x"], "did you mean 'vae_paper'"),
        (["ppo", "train", "--mode", "esy", "--out", "x"], "did you mean 'easy'"),
        (["ppo", "evaluate", "randm"], "did you mean 'random'"),
        (["ppo", "evaluate", "./x"], "x holds no checkpoint"),
        (["ppo", "evaluate"], "give one policy"),
        (["ppo", "evaluate", "oracle", "--policy", "random"], "give one policy"),
        (["ppo", "evaluate", "oracle", "--levels", "9:3"], "--levels '9:3'"),
        (["ppo", "evaluate", "oracle", "--levels", "many"], "expected a number, or A:B"),
        (["ppo", "evaluate", "oracle", "--action-repeat", "4"], "--action-repeat 4 with policy 'oracle'"),
        (["ppo", "evaluate", "random", "--action-repeat", "0"], "--action-repeat"),
        (["ppo", "evaluate", "--policy", "no-such-policy"], "unknown policy 'no-such-policy'"),
        (["ppo", "export", "./x", "--out", "y"], "x holds no checkpoint"),
        (["clone", "--encoder", "vae_papr", "--out", "x"], "did you mean 'vae_paper'"),
        (["clone", "--encoder", "vae_paper", "--out", "x", "--levels", "0"], "--levels '0'"),
        (["clone", "--encoder", "grid", "--out", "x", "--lstm", "8"], "add --dagger-steps"),
        (["self-imitate", "--encoder", "gird", "--out", "x"], "did you mean 'grid'"),
        (["self-imitate", "--encoder", "grid", "--out", "x", "--action-repeat", "0"], "--action-repeat"),
        (["clone", "--encoder", "grid", "--out", "x", "--device", "gpu"], "expected 'auto', 'cpu', 'cuda'"),
        (["record", "--encoder", "vae_alex", "--out", "x"], "expected one of frames and episodes"),
        (["record", "--frames", "1", "--out", "x"], "missing option '--encoder'"),
        (["record", "--encoder", "vae_papr", "--frames", "1", "--out", "x"], "did you mean 'vae_paper'"),
        (["record", "--encoder", "grid", "--mode", "esy", "--frames", "1", "--out", "x"], "did you mean 'easy'"),
        (["record", "--format", "minary", "--out", "x"], "did you mean 'minari'"),
        (["record", "--format", "minari", "--frames", "1", "--out", "heist/x-v0"], "give --episodes"),
        (["ppo", "train", "--warm-start", "no-such-policy", "--out", "x"], "unknown policy 'no-such-policy'"),
        (["ppo", "train", "--warm-start", "best", "--mode", "easy", "--out", "x"], "of 'grid'; give that one"),
        (["play", "--policy", "no-such-policy", "--out", "x.gif"], "unknown policy 'no-such-policy'"),
        (["play", "--encoder", "vae_papr", "--out", "x.gif"], "did you mean 'vae_paper'"),
        (["play", "--out", "x.avi"], ".gif or .mp4"),
        (["play", "--encoder", "pixels", "--policy", "orcle", "--out", "x.gif"], "did you mean 'oracle'"),
        (["bench", "--encoders", "vae_papr"], "did you mean 'vae_paper'"),
        (["run", "--out", "x", "--architectures", "vae_papr"], "did you mean 'vae_paper'"),
        (["run", "--out", "x", "--mode", "esy"], "did you mean 'easy'"),
        (["run", "--out", "x", "--size", "10"], "--size"),
    ],
)
def test_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = cli(*arguments).error
    assert expected in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--size", "64", "--out"],
        ["train", "conv_maxpool", "--data", "d", "--out"],
        ["tune", "conv_maxpool", "--data", "d", "--out"],
        ["ppo", "train", "--encoder", "vae_paper", "--out"],
        ["run", "--out"],
        ["export", "d", "--npy"],
        ["evaluate", "vae_paper", "--data", "d", "--out"],
    ],
)
@pytest.mark.parametrize("folder", ["file", "file/below", "/proc/heist"])
def test_output_folder_that_cannot_be(cli: Cli, tmp_path: Path, arguments: list[str], folder: str) -> None:
    (tmp_path / "file").write_text("mine")
    path = folder if folder.startswith("/") else str(tmp_path / folder)
    line = cli(*arguments, path).error
    assert path in line
    assert (tmp_path / "file").read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("autoencoder: vae_paper\nlearning_rat: 0.1\n", "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ("autoencoder: vae_paper\nlearning_rate: fast\n", "learning_rate"),
        ("autoencoder: vae_paper\nlearning_rate: -1.0\n", "learning_rate"),
        ("autoencoder: vae_paper\nparams: {latent: 3}\n", "unknown key"),
        ("autoencoder: vae_paper\nloss: {pixel: mes}\n", "pixel"),
        ("- a\n- b\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_bad_config(cli: Cli, small_dataset: Dataset, tmp_path: Path, text: str, expected: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    line = cli("train", config, "--data", small_dataset.path, "--out", tmp_path / "out").error
    assert expected in line
    assert str(config) in line
    assert not (tmp_path / "out").exists()


def test_bad_search_space(cli: Cli, small_dataset: Dataset, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("autoencoder: vae_paper\nspace:\n  learning_rat: {loguniform: [1.0e-4, 1.0e-3]}\n")
    line = cli("tune", space, "--data", small_dataset.path, "--out", tmp_path / "out").error
    assert "learning_rat" in line
    assert not (tmp_path / "out").exists()


def test_folder_with_another_dataset(cli: Cli, small_dataset: Dataset, ray_local: None) -> None:
    line = cli("generate", "--out", small_dataset.path, "--size", 513).error
    assert str(small_dataset.path) in line
    assert cli.ok("verify", small_dataset.path).out.strip() == small_dataset.hash


def test_more_workers_than_the_running_ray_has(cli: Cli, tmp_path: Path, ray_local: None) -> None:
    line = cli("generate", "--out", tmp_path / "out", "--size", 2048, "--workers", 64).error
    assert "64 CPUs asked for, but the Ray that is running has 2" in line


def test_not_a_dataset(cli: Cli, trained: Path, tmp_path: Path) -> None:
    assert "manifest.json" in cli("verify", tmp_path).error
    assert "manifest.json" in cli("evaluate", trained, "--data", tmp_path).error


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "metrics.json"])
def test_damaged_artifact(
    cli: Cli, trained: Path, small_dataset: Dataset, tmp_path: Path, file: str, damage: str
) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(trained, folder)
    data = (folder / file).read_bytes()
    if damage == "missing":
        (folder / file).unlink()
    elif damage == "truncated":
        (folder / file).write_bytes(data[: len(data) // 2])
    else:
        (folder / file).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    line = cli("evaluate", folder, "--data", small_dataset.path, "--out", tmp_path / "out").error
    assert str(folder) in line
    assert not (tmp_path / "out").exists()
    assert str(folder) in cli("promote", folder, "--name", "damaged").error
    assert all(row["name"] != "damaged" for row in cli.ok("list", "--json").json["artifacts"])


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
def test_pickle_is_refused(cli: Cli, small_dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    for line in (
        cli("evaluate", path, "--data", small_dataset.path).error,
        cli("promote", path).error,
        cli("play", "--encoder", path, "--out", tmp_path / "x.gif").error,
    ):
        assert "pickle" in line
        assert "convert" in line


def test_dataset_of_another_mode(cli: Cli, trained: Path, tmp_path: Path) -> None:
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.manifest import DatasetSpec

    easy = generate_local(DatasetSpec(size=64, distribution_mode="easy"), tmp_path / "easy")
    line = cli("evaluate", trained, "--data", easy.path).error
    assert "memory" in line
    assert "easy" in line
    assert "memory" in cli("play", "--encoder", trained, "--mode", "easy", "--out", tmp_path / "x.gif").error


def test_level_range(cli: Cli, trained: Path, tmp_path: Path) -> None:
    line = cli("ppo", "train", "--encoder", trained, "--out", tmp_path / "out", "--num-levels", -1).error
    assert "num_levels = -1" in line
    assert not (tmp_path / "out").exists()


def test_sweep_that_is_none(cli: Cli, tmp_path: Path) -> None:
    assert "sweep" in cli("promote", tmp_path).error


def test_name_of_a_family_is_refused(cli: Cli, trained: Path) -> None:
    assert "choose another" in cli("promote", trained, "--name", "vae_paper").error


def test_procgen_not_installed(tmp_path: Path) -> None:
    blocked = tmp_path / "procgen"
    blocked.mkdir()
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'procgen'\", name='procgen')\n")
    arguments = ("play", "--encoder", "pixels", "--out", tmp_path / "x.gif")
    outcome = finish(start(*arguments, env={"PYTHONPATH": str(tmp_path)}))
    assert "procgen is not installed" in outcome.error
    assert not (tmp_path / "x.gif").exists()
