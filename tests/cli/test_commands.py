"""What each command does on a small dataset, and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from PIL import Image

from heist_encoders.cli import output
from heist_encoders.evaluation.semantic_probe import MapProbeSettings
from tests.cli.helpers import Cli

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


def test_generate_verify_repair_export(cli: Cli, tmp_path: Path, ray_local: None) -> None:
    folder = tmp_path / "data"
    arguments = ("generate", "--out", folder, "--size", 1200, "--mode", "easy", "--seed", 3, "--json")
    made = cli.ok(*arguments, "--workers", 2).json
    assert made["size"] == 1200
    assert made["spec"]["distribution_mode"] == "easy"
    assert cli.ok("verify", folder).out == made["hash"] + "\n"
    assert cli.ok(*arguments, "--workers", 1).json["hash"] == made["hash"]

    shard = next(folder.glob("test-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    broken = cli("verify", folder, "--json")
    assert not broken.json["whole"]
    assert shard.name in broken.error
    assert "heist-encoders repair" in broken.error
    repaired = cli.ok("repair", folder, "--json").json
    assert repaired["repaired"] == [shard.name]
    assert repaired["hash"] == made["hash"]
    assert cli.ok("verify", folder, "--json").json == {
        "path": str(folder), "whole": True, "problems": [], "hash": made["hash"], "size": 1200,
    }  # fmt: skip

    files = cli.ok("export", folder, "--npy", tmp_path / "npy", "--json").json["files"]
    assert [Path(file["path"]).name for file in files] == ["training.npy", "test.npy"]
    frames = np.load(tmp_path / "npy" / "test.npy")
    assert frames.shape == (120, 64, 64, 3)
    assert frames.dtype == np.uint8


def test_another_game(cli: Cli, tmp_path: Path, ray_local: None) -> None:
    arguments = ("--game", "coinrun", "--mode", "easy", "--balance", "natural", "--size", 64, "--json")
    made = cli.ok("generate", "--out", tmp_path / "data", *arguments).json
    assert made["spec"]["game"] == "coinrun"
    assert made["spec"]["policy"] == "random"


def test_train_on_a_stream(cli: Cli, small_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("seed: 5\nsize: 700\n")
    rest = ("--max-epochs", 1, "--json")
    made = cli.ok("train", "conv_maxpool", "--stream", tmp_path / "spec.yaml", "--out", tmp_path / "one", *rest).json
    assert made["samples"] == 640, "an epoch is the spec's train frames, in whole batches"
    assert "endless stream" in (tmp_path / "one" / "artifact" / "README.md").read_text()
    again = cli.ok("train", tmp_path / "one" / "artifact", "--out", tmp_path / "two", "--json").json
    assert again["sha256"] == made["sha256"], "an artifact remembers its stream"
    data = ("--data", small_dataset.path)
    cli.ok("train", "conv_maxpool", "--stream", "data", *data, "--out", tmp_path / "three", *rest)
    assert "or --stream SPEC.yaml" in cli("train", "conv_maxpool", "--out", tmp_path / "four").error
    assert "--stream data means" in cli("train", "vae_paper", "--stream", "data", "--out", tmp_path / "five").error


def test_train_by_several_processes_needs_batches_that_can_be_split(
    cli: Cli, small_dataset: Dataset, tmp_path: Path
) -> None:
    found = cli("train", "conv_maxpool", "--data", small_dataset.path, "--out", tmp_path / "one", "--workers", 3)
    assert "batch_size = 32 cannot be split evenly over 3 processes" in found.error


def test_train_evaluate_promote_list_report(
    cli: Cli, small_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "one"
    arguments = ("train", "conv_maxpool", "--data", small_dataset.path, "--out", out, "--max-epochs", 2, "--json")
    first = cli.ok(*arguments)
    assert first.json["epochs"] == 2
    assert "epoch 2" in first.err
    assert cli.ok(*arguments).json["sha256"] == first.json["sha256"], "a finished training is not done again"

    few = MapProbeSettings(samples=640, batch_size=64)
    monkeypatch.setattr("heist_encoders.evaluation.probing.MapProbeSettings", lambda **_: few)
    data = ("--data", small_dataset.path, "--no-pictures", "--plan-samples", 0)
    found = cli.ok("evaluate", out / "artifact", *data, "--seeds", 1, "--play-levels", 2, "--json").json
    assert found["metrics"]["play"]["decoded_success"] in (0.0, 0.5, 1.0)
    assert 0 <= found["metrics"]["probes"]["miou"] <= 1
    assert found["metrics"]["probes"]["std"] == {}
    rest = (*data, "--seeds", 2, "--references")
    text = cli.ok("evaluate", out / "artifact", *rest).out
    assert "miou" in text
    assert "std over 2 seeds" in text
    stored = json.loads((out / "artifact" / "metrics.json").read_text())
    assert set(stored["references"]) == {"majority", "untrained", "raw_pixels"}
    found = {"metrics": stored}

    assert cli.ok("promote", out / "artifact", "--name", "promoted-cli", "--json").json["name"] == "promoted-cli"
    assert "promoted-cli" in cli("promote", out / "artifact", "--name", "promoted-cli").error
    cli.ok("promote", out / "artifact", "--name", "promoted-cli", "--overwrite")
    rows = {row["name"]: row for row in cli.ok("list", "--json").json["artifacts"]}
    for name in ("miou", "map_presence_f1", "presence_f1"):
        assert rows["promoted-cli"][name] == pytest.approx(found["metrics"]["probes"][name])
    assert rows["promoted-cli"]["plan_accuracy"] is None
    assert rows["promoted-cli"]["latent_dimension"] == 32
    assert "promoted-cli" in cli.ok("list").out

    page = tmp_path / "report.html"
    assert cli.ok("report", out / "artifact", "--out", page, "--json").json["report"] == str(page)
    assert "conv_maxpool" in page.read_text()


def test_train_from_yaml(cli: Cli, small_dataset: Dataset, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("autoencoder: conv_maxpool\nparams: {latent_size: 8}\nmax_epochs: 1\nlearning_rate: 1e-3\n")
    made = cli.ok("train", config, "--data", small_dataset.path, "--out", tmp_path / "x", "--seed", 5, "--json").json
    saved = json.loads((Path(made["artifact"]) / "config.json").read_text())
    assert saved["encoding_shape"] == [8]
    assert saved["training"]["config"]["seed"] == 5


def test_list_autoencoders(cli: Cli) -> None:
    from heist_encoders.autoencoders import autoencoder_names

    rows = cli.ok("list", "--autoencoders", "--json").json["autoencoders"]
    assert [row["name"] for row in rows] == list(autoencoder_names())
    assert "vae-alex-v0" in cli.ok("list", "--autoencoders").out


def test_tune_and_promote(cli: Cli, small_dataset: Dataset, tmp_path: Path, ray_local: None) -> None:
    out = tmp_path / "sweep"
    arguments = ("tune", "conv_maxpool", "--data", small_dataset.path, "--out", out, "--preset", "smoke")
    result = cli.ok(*arguments, "--samples", 2, "--json").json
    assert len(result["trials"]) == 2
    assert result["best"]["rank"] == 1
    assert "--resume" in cli(*arguments, "--samples", 2).error
    assert cli.ok(*arguments, "--samples", 2, "--resume", "--json").json["best"] == result["best"]
    made = cli.ok("promote", out, "--json").json
    assert made["name"] == "conv_maxpool-sweep"
    assert cli.ok("promote", out, "--json").json == made, "promoting the same winner again changes nothing"


def test_play_writes_a_gif_of_the_right_size(cli: Cli, trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "oracle.gif"
    arguments = ("--policy", "oracle", "--out", path, "--scale", 2, "--level-seed", 7, "--max-steps", 20)
    played = cli.ok("play", "--encoder", trained, *arguments, "--json").json
    assert played["episodes"][0]["level_seed"] == 7
    with Image.open(path) as image:
        assert image.size == (256, 128 + 20), "a caption above"
        assert 1 < image.n_frames <= played["frames"] <= 21
    again = cli.ok("play", "--encoder", trained, *arguments, "--json").json
    assert again == played


def test_play_records_an_mp4(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "random.mp4"
    arguments = ("--policy", "random", "--mode", "easy", "--episodes", 2, "--max-steps", 5, "--out", path)
    out = cli.ok("play", "--encoder", "pixels", *arguments).out
    assert "256x276" in out, "with a caption"
    assert path.read_bytes()[4:8] == b"ftyp"


def test_play_another_game(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "maze.gif"
    arguments = ("--game", "coinrun", "--mode", "easy", "--max-steps", 5, "--out", path)
    cli.ok("play", "--encoder", "pixels", "--policy", "random", *arguments)
    assert "coinrun has no oracle" in cli("play", "--encoder", "pixels", "--policy", "oracle", *arguments).error


def test_bench(cli: Cli, trained: Path) -> None:
    arguments = ("bench", "--encoders", trained, "--frames", 64, "--seconds", 0.1, "--num-envs", 2)
    found = cli.ok(*arguments, "--json").json
    assert found["generation"]["frames_per_second"] > 0
    assert [row["encoder"] for row in found["encoders"]] == ["pixels", "conv_maxpool-cli"]
    assert all(row["steps_per_second"] > 0 for row in found["encoders"])
    assert "conv_maxpool-cli" in cli.ok(*arguments).out


def test_ppo(cli: Cli, trained: Path, tmp_path: Path, ray_local: None) -> None:
    out = tmp_path / "ppo"
    train = ("ppo", "train", "--encoder", trained, "--out", out, "--num-envs", 4, "--final-levels", 2)
    first = cli.ok(*train, "--steps", 512, "--json")
    assert first.json["env_steps"] >= 512
    assert first.json["evaluation"]["num_levels"] == 2
    assert yaml.safe_load((out / "ppo.yaml").read_text())["final_levels"] == 2
    assert "num_envs: 4\n" in first.err, "all options are printed"
    second = cli.ok(*train, "--steps", 1024)
    assert "going on at iteration 2, after 5" in second.err
    assert "final return" in second.out
    assert "95% interval" in second.out
    assert "return_mean" not in second.err, "RLlib's own mean favours short episodes"
    assert "nothing is left to train" in cli.ok(*train, "--steps", 1024).err
    assert "another" in cli(*train, "--steps", 1024, "--seed", 4).error
    found = cli.ok("ppo", "evaluate", out, "--levels", 2, "--json").json
    assert found["num_levels"] == 2
    assert found["distribution_mode"] == "memory"
    path = tmp_path / "policy.gif"
    arguments = ("--policy", out, "--max-steps", 5, "--out", path, "--json")
    assert cli.ok("play", "--encoder", trained, *arguments).json["width"] == 512
    assert "memory" in cli("play", "--encoder", "pixels", "--mode", "easy", *arguments).error


def test_ppo_of_several_seeds(cli: Cli, trained: Path, tmp_path: Path, ray_local: None) -> None:
    out = tmp_path / "seeds"
    train = ("ppo", "train", "--encoder", trained, "--out", out, "--num-envs", 4, "--steps", 512, "--seeds", "0,1")
    made = cli.ok(*train, "--final-levels", 1, "--evaluate-every", 0, "--json").json
    assert set(made["runs"]) == {"0", "1"}
    assert all(run["env_steps"] >= 512 for run in made["runs"].values())
    returns = [run["evaluation"]["return_mean"] for run in made["runs"].values()]
    assert made["summary"]["return_iqm"] == np.mean(returns), "of two"
    assert yaml.safe_load((out / "seed-1" / "ppo.yaml").read_text())["seed"] == 1
    again = cli.ok(*train, "--final-levels", 1, "--evaluate-every", 0)
    assert "seed 1: 5" in again.err
    assert "steps are trained already" in again.err
    assert f"interquartile mean of 2 seeds: {np.mean(returns):.2f}" in again.out
    assert "holds a PPO run of one seed" in cli(*train[:4], "--out", out / "seed-0", "--seeds", "0,1").err


def test_ppo_evaluate_references(cli: Cli) -> None:
    oracle = cli.ok("ppo", "evaluate", "oracle", "--mode", "easy", "--levels", 8, "--json").json
    assert oracle["success_rate"] == 1.0
    text = cli.ok("ppo", "evaluate", "oracle", "--mode", "easy", "--levels", 8).out
    assert "100.0%" in text


def test_doctor(cli: Cli) -> None:
    found = cli("doctor", "--json").json
    names = {check["name"]: check["status"] for check in found["checks"]}
    essentials = ("Python", "procgen", "torch", "numpy, pyarrow", "Ray")
    assert [names[name] for name in essentials] == ["ok"] * len(essentials)
    assert found["works"] == (not found["problems"])


def test_plain_values_for_json() -> None:
    value = {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": Path("x"), "e": (1, None)}
    assert output.plain(value) == {"a": 0.5, "b": [0, 1], "c": None, "d": "x", "e": [1, None]}
