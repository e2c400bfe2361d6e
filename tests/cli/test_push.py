"""``push``, and ``hf://`` in every command that takes an encoder or a policy."""

from __future__ import annotations

from pathlib import Path

from heist_encoders.data.dataset import Dataset
from tests.cli.helpers import Cli
from tests.zoo.hub_server import Hub


def test_push_and_use(hub: Hub, trained: Path, small_dataset: Dataset, cli: Cli, tmp_path: Path) -> None:
    done = cli.ok("push", trained, "me/mine", "--private", "--json").json
    assert done == {"uri": f"hf://me/mine@{hub.commit_of('me/mine', 0)}", "repository": "me/mine"}
    assert hub.private == {"me/mine"}
    film = tmp_path / "a.gif"
    cli.ok("play", "--encoder", "hf://me/mine", "--policy", "random", "--max-steps", 1, "--out", film)
    assert film.stat().st_size > 0
    promoted = cli.ok("promote", "hf://me/mine", "--name", "theirs", "--json").json
    assert promoted["name"] == "theirs"
    policy = tmp_path / "policy"
    sizes = ("--mode", "memory", "--frames", 64, "--levels", 1)
    cli.ok("clone", "--encoder", "hf://me/mine", *sizes, "--out", policy)
    assert cli.ok("push", policy, "me/policy", "--license", "cc0-1.0").out.startswith("hf://me/policy@")
    assert "license: cc0-1.0" in hub.repositories["me/policy"][0]["README.md"].decode()
    cli.ok("play", "--policy", "hf://me/policy", "--max-steps", 1, "--out", film)
    cli.ok("ppo", "evaluate", "--policy", "hf://me/policy", "--levels", 1, "--json")


def test_errors(hub: Hub, trained: Path, cli: Cli) -> None:
    assert "unknown encoder 'vae_alexx'" in cli("push", "vae_alexx", "me/x").error
    assert "no name of a repository on the hub" in cli("push", trained, "x").error
    assert "there is no hf://me/none" in cli("play", "--policy", "hf://me/none", "--out", "a.gif").error
    assert "there is no hf://me/none" in cli("promote", "hf://me/none").error
    assert hub.repositories == {}
