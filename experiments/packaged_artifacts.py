"""Train, measure and package the artifacts that come with heist-encoders.

Shows: how each packaged artifact was made; running it again makes it again (bit for bit on the same CPU and torch).
Run:   python experiments/packaged_artifacts.py --work runs/packaged            (hours on one core; resumes)
       python experiments/packaged_artifacts.py --work runs/packaged vae_alex   (one family)
What came out is on the artifacts' cards: heist_encoders/zoo/packaged/<family>/<mode>/README.md;
`heist-encoders list` prints them in a line each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import heist_encoders
from heist_encoders.data.generate import generate
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.evaluation.evaluate import evaluate
from heist_encoders.training.train import train
from heist_encoders.zoo import save_artifact, update_metrics

FRAMES, DATA_SEED = 60_000, 1
PACKAGED = Path(heist_encoders.__file__).parent / "zoo" / "packaged"

COMMON = {"schedule": "cosine", "epoch_samples": 20_000, "patience": 100, "threads": 1}
TRAININGS: dict[tuple[str, str], dict[str, object]] = {
    ("conv_maxpool", "memory"): {"max_samples": 200_000},
    ("conv_maxpool_big", "memory"): {"max_samples": 200_000},
    ("conv_no_bottleneck", "memory"): {"max_samples": 160_000},
    ("conv_unpool", "memory"): {"max_samples": 100_000},
    ("vae_paper", "memory"): {"max_samples": 200_000},
    ("vae_alex", "memory"): {"max_samples": 300_000, "batch_size": 128},
}
TRAINED_AT = {
    "conv_maxpool": "4bdb8bc",
    "conv_maxpool_big": "00524bb",
    "conv_no_bottleneck": "4bdb8bc",
    "conv_unpool": "4bdb8bc",
    "vae_paper": "f502bb6",
    "vae_alex": "6b57996",
}
"""The commit whose code trained the packaged weights; the layers' initial weights have changed in between."""


def package(family: str, mode: str, work: Path) -> None:
    """Make the packaged artifact of a family and mode; what is done already in ``work`` is kept."""
    data = generate(DatasetSpec(size=FRAMES, seed=DATA_SEED, distribution_mode=mode), work / f"data-{mode}")
    config = {"autoencoder": family, **COMMON, **TRAININGS[family, mode]}
    result = train(config, data, out=work / f"{family}-{mode}", callback=lambda report: print(report, flush=True))
    artifact = save_artifact(
        PACKAGED / family / mode,
        result,
        name=family,
        dataset=data,
        training=result.record(),
        provenance={
            "script": "experiments/packaged_artifacts.py",
            "dataset": data.spec.to_dict(),
            "heist_encoders": f"{heist_encoders.__version__}, commit {TRAINED_AT[family]}",
            "torch": torch.__version__,
            "hardware": "2 cores of a shared Intel Xeon (AMX), no GPU",
        },
    )
    metrics = evaluate(artifact, data, out=work / "evaluation" / f"{family}-{mode}", progress=print)
    update_metrics(artifact, {key: value for key, value in metrics.items() if key != "folder"})
    useful = metrics["usefulness"]
    print(f"{family} {mode}: F1 {useful['linear_f1']:.3f} (linear), {useful['mlp_f1']:.3f} (MLP)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*")
    parser.add_argument("--mode", choices=["memory", "easy", "hard"])
    parser.add_argument("--work", type=Path, default=Path("runs/packaged"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for family, mode in TRAININGS:
        if (not options.families or family in options.families) and options.mode in (None, mode):
            package(family, mode, options.work)


if __name__ == "__main__":
    main()
