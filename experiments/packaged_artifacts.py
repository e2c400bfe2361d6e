"""Train, measure and package the artifacts that come with heist-encoders.

Shows: how each packaged artifact was made: by 1,000,000 frames of an endless stream, each seen once, judged on levels
       that the stream leaves out. The hyperparameters of memory mode stand below, chosen by hand from the search spaces
       but for conv_maxpool's, which won a sweep; those of easy mode (but schedule and precision) are the winner's of a
       sweep, preset quick, that this script runs first.
       Training again makes the same weights again, bit for bit on the same CPU and torch, at the commit that the card
       names; what is stored is rounded to float16 (conv_unpool and compact of memory mode are not; four were rounded
       after that commit). Artifacts whose card has no stream were trained on the dataset itself.
Run:   python experiments/packaged_artifacts.py --work runs/packaged            (hours on one core; resumes)
       python experiments/packaged_artifacts.py --work runs/packaged vae_alex   (one family)
What came out is on the artifacts' cards: heist_encoders/zoo/packaged/<family>/<mode>/README.md;
`heist-encoders list` prints them in a line each.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import torch
from processes import machine

import heist_encoders
from heist_encoders.data.generate import generate
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.stream import FrameStream
from heist_encoders.evaluation.evaluate import evaluate
from heist_encoders.training.train import train
from heist_encoders.tuning import sweep
from heist_encoders.tuning.winner import winner_of
from heist_encoders.zoo import load_artifact, save_artifact, update_metrics

FRAMES, DATA_SEED = 250_000, 1
PACKAGED = Path(heist_encoders.__file__).parent / "zoo" / "packaged"

COMMON = {"max_samples": 1_000_000, "schedule": "cosine", "epoch_samples": 20_000, "patience": 100, "threads": 1}
LOSS = {"element_weight": 0.9, "element_map": 1.0}
MAP_LOSS = {"element_weight": 0.9, "element_map": 3.0}
VAE_LOSS = {**LOSS, "beta": 1e-6}
TRAININGS: dict[str, dict[str, object]] = {
    "compact": {"loss": LOSS},
    "conv_maxpool": {
        "params": {"channels": [32, 8], "latent_size": 256, "bottleneck_activation": "relu"},
        "loss": {"element_weight": 0.7, "element_map": 3.0},
        "learning_rate": 0.00476214450074903,
    },
    "conv_maxpool_big": {
        "params": {"hidden_size": 400, "latent_size": 256, "bottleneck_activation": "none"},
        "loss": MAP_LOSS,
    },
    "conv_no_bottleneck": {"params": {"channels": [16, 32, 128, 256]}, "loss": MAP_LOSS},
    "conv_unpool": {"loss": LOSS},
    "vae_paper": {"params": {"latent_size": 128}, "loss": VAE_LOSS},
    "vae_alex": {"params": {"latent_size": 64}, "loss": {**VAE_LOSS, "perceptual": 0.1}},
}
FOUND_BY = {
    "conv_maxpool": {
        "script": "experiments/family_sweeps.py",
        "seed": 1,
        "trial": 3,
        "rank": 1,
        "trials": 8,
        "objective": 0.7026,
        "metric": "mlp_f1",
        "dataset_hash": "1d3dbbc6c2b4da29bf042cc3f32ae099d776ffcd3ad38eefc8fb9e83cba2cd8e",
    },
}
"""Sweeps whose winner's hyperparameters stand above; the others were chosen by hand from the search spaces."""
EASY = ("conv_unpool", "vae_paper", "vae_alex")
"""Families that also have an artifact of easy mode, found by a sweep; every family has one of memory mode."""
MOST_NUMBERS = {**dict.fromkeys(TRAININGS, 256), "compact": 64, "conv_unpool": 1152}
"""Of an encoding, for sweeps."""


def commit() -> str:
    """The commit that is checked out, with ``-dirty`` where files differ from it."""
    command = ["git", "-C", str(PACKAGED), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def searched(family: str, mode: str, data: Any, work: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hyperparameters that win a quick sweep, and which trial that was. Resumes; wants the machine for itself."""
    limits = {"max_encoding_size": MOST_NUMBERS[family], "max_latency_ms": 5.0}
    folder = work / f"sweep-{family}-{mode}"
    result = sweep(family, data, out=folder, preset="quick", seed=1, objective=limits, resume=True)
    source, found_by = winner_of(result)
    config = load_artifact(source).training["config"]
    return {key: config[key] for key in ("params", "loss", "batch_size", "learning_rate", "weight_decay")}, found_by


def package(family: str, mode: str, work: Path) -> None:
    """Make the packaged artifact of a family and mode; what is done already in ``work`` is kept."""
    data = generate(DatasetSpec(size=FRAMES, seed=DATA_SEED, distribution_mode=mode), work / f"data-{mode}")
    chosen, found_by = (
        searched(family, mode, data, work) if mode == "easy" else (TRAININGS[family], FOUND_BY.get(family))
    )
    config = {"autoencoder": family, **COMMON, **chosen}
    stream = FrameStream(data.spec, data)
    result = train(config, stream, out=work / f"{family}-{mode}", callback=lambda report: print(report, flush=True))
    artifact = save_artifact(
        PACKAGED / family / mode,
        result,
        name=family,
        dataset=data,
        training=result.record(),
        provenance={
            "script": "experiments/packaged_artifacts.py",
            "dataset": data.spec.to_dict(),
            "heist_encoders": f"{heist_encoders.__version__}, commit {commit()}",
            "torch": torch.__version__,
            "hardware": machine(),
            **({"found by": found_by} if found_by else {}),
        },
        half=True,
    )
    metrics = evaluate(artifact, data, out=work / "evaluation" / f"{family}-{mode}", progress=print)
    update_metrics(artifact, {key: value for key, value in metrics.items() if key != "folder"})
    useful = metrics["usefulness"]
    print(f"{family} {mode}: F1 {useful['linear_f1']:.3f} (linear), {useful['mlp_f1']:.3f} (MLP)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="family", help=", ".join(TRAININGS))
    parser.add_argument("--mode", choices=["memory", "easy"])
    parser.add_argument("--work", type=Path, default=Path("runs/packaged"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    families = options.families or list(EASY if options.mode == "easy" else TRAININGS)
    for family in families:
        if family not in TRAININGS or (options.mode == "easy" and family not in EASY):
            parser.error(f"{family!r}: expected one of {', '.join(EASY if options.mode == 'easy' else TRAININGS)}")
    for family in families:
        for mode in ("memory", "easy") if family in EASY else ("memory",):
            if options.mode in (None, mode):
                package(family, mode, options.work)


if __name__ == "__main__":
    main()
