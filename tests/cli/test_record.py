"""``heist-encoders record``: RLlib's offline data and Minari's datasets from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.helpers import Cli
from tests.rllib.test_offline import without_ray


def test_for_rllib(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch)
    command = ("record", "--encoder", "vae_alex", "--mode", "easy", "--out", tmp_path / "data")
    made = cli.ok(*command, "--frames", 40, "--json").json
    assert (made["kind"], made["number"], made["distribution_mode"]) == ("frames", 40, "easy")
    assert 30 < made["rows"] <= 40
    again = cli.ok(*command, "--frames", 40)
    assert again.out == f"{made['rows']} moves of the oracle's (40 frames) in {tmp_path / 'data'}\n"
    assert "kind = 'frames', here 'episodes'; choose another folder" in cli(*command, "--episodes", 2).error


def test_for_minari(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    command = ("record", "--format", "minari", "--out", "heist/oracle-easy-v0", "--episodes", 1)
    made = cli.ok(*command, "--json").json
    assert made["rows"] > 0
    assert (tmp_path / made["out"] / "data").is_dir()
    assert "has a dataset 'heist/oracle-easy-v0'" in cli(*command).error
    monkeypatch.setitem(sys.modules, "minari.dataset.minari_dataset", None)
    assert "pip install 'heist-encoders[minari]'" in cli(*command).error
