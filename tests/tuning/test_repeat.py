"""The same seed gives the same winner, and the winner's card gives the same winner again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heist_encoders.errors import ConfigError
from heist_encoders.evaluation.probing import probe
from heist_encoders.training.report import read_record
from heist_encoders.tuning import promote_winner, sweep
from heist_encoders.zoo import load_artifact
from tests.cli.helpers import finish, start

# One trial at a time, so that ASHA meets them in the same order; a limit on latency that no encoder comes near, since
# it is measured anew in each sweep.

pytestmark = [pytest.mark.ray, pytest.mark.slow]

OPTIONS: dict[str, Any] = {
    "preset": "smoke",
    "num_samples": 3,
    "scheduler": "asha",
    "max_concurrent": 1,
    "objective": {"metric": "presence_f1", "max_latency_ms": 1e6},
    "train": {"params": {"channels": [8, 4]}, "test_samples": 32, "epoch_samples": 128, "max_epochs": 4},
    "seed": 5,
}
TIMINGS = ["latency_ms", "samples_per_second", "seconds", "probe_share", "trial_id", "checkpoint"]


def test_same_winner_twice_and_from_its_card(ray_local: None, small_dataset: Any, tmp_path: Path) -> None:
    results = [sweep("conv_maxpool", small_dataset, out=tmp_path / name, **OPTIONS) for name in ("one", "two")]
    tables = [result.table.drop(columns=TIMINGS).to_dict("records") for result in results]
    assert tables[0] == tables[1]
    assert len({row["learning_rate"] for row in tables[0]}) == 3
    winners = [promote_winner(result, f"winner-{i}") for i, result in enumerate(results)]
    for name, tensor in winners[0].load_model().state_dict().items():
        assert tensor.equal(winners[1].load_model().state_dict()[name])

    out = tmp_path / "again"
    summary = finish(start("train", winners[0].path, "--data", small_dataset.path, "--out", out, "--json")).json
    trial = winners[0].metrics["trial"]
    assert summary["epochs"] == len(winners[0].training["history"])
    assert summary["test_loss"] == pytest.approx(trial["test_loss"], rel=1e-4)
    again = load_artifact(out / "artifact").load_model()
    frames = results[0].plan["objective"]["probe_frames"]
    found = probe(
        again,
        small_dataset,
        train_limit=frames,
        test_limit=max(256, frames // 2),
        fast=True,
        wanted=("presence_f1",),
        device="cpu",
    )
    assert found.figures["presence_f1"] == pytest.approx(trial["presence_f1"], abs=0.005)
    assert found.figures["linear_presence_f1"] == pytest.approx(trial["linear_presence_f1"], abs=0.005)


def test_a_card_that_says_nothing() -> None:
    with pytest.raises(ConfigError, match="card: says not how it was trained"):
        read_record({"seconds": 3.0}, where="card")
