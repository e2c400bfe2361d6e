"""What a quick sweep finds for each family, beside the configuration of its packaged artifact.

Shows: for each family the winner of a sweep of preset quick, and one training of the same length with the packaged
       artifact's hyperparameters (experiments/packaged_artifacts.py), both judged anew by probes on more frames and
       with another seed than the sweep's. Sweeps that are finished are not run again.
Run:   python experiments/family_sweeps.py --data DIR --work runs/family-sweeps        (3 to 4 minutes a family)
"""

# What came out (2026-11-23, 2 cores of a Xeon with AMX, memory mode, 60,000 frames, --seed 1; three families, then
# it was stopped). conv_maxpool's packaged configuration was another one then: channels 32 and 16, map loss 1, share .9.
# |                                              | F1 in the sweep | F1 judged anew | linear F1 | numbers |
# | conv_maxpool_big, sweep's winner (trial 1)   | 0.667           | 0.734          | 0.695     | 256     |
# | conv_maxpool_big, packaged configuration     | 0.706           | 0.755          | 0.680     | 256     |
# | conv_no_bottleneck, sweep's winner (trial 0) | 0.720           | 0.805          | 0.722     | 128     |
# | conv_no_bottleneck, packaged configuration   | 0.752           | 0.850          | 0.793     | 256     |
# | conv_maxpool, sweep's winner (trial 3)       | 0.703           | 0.786          | 0.707     | 256     |
# | conv_maxpool, packaged configuration         | 0.424           | 0.482          | 0.204     | 256     |

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from packaged_artifacts import MOST_NUMBERS, TRAININGS
from processes import machine, table
from sweep_benchmark import judged

from heist_encoders.autoencoders import autoencoder_class
from heist_encoders.data.dataset import open_dataset
from heist_encoders.tuning import SweepResult, sweep


def packaged_space(family: str) -> dict[str, Any]:
    """The packaged artifact's hyperparameters as a search space without anything to search."""
    defaults = autoencoder_class(family).default_training
    chosen = TRAININGS[family]
    loss = {**defaults.get("loss", {}), **chosen["loss"]}
    return {"autoencoder": family, **defaults, "schedule": "cosine", **chosen, "loss": loss}


def figures(result: SweepResult, dataset: Any) -> list[str]:
    """Of a sweep's best trial: mIoU in the sweep, mIoU and presence F1 evaluated again, latent dimension, ms a frame."""
    best = result.best
    if best is None:
        return ["none within the limits", "", "", "", ""]
    again = judged(result, dataset)
    return [
        f"{best['objective']:.3f}", f"{again['miou']:.3f}", f"{again['presence_f1']:.3f}",
        f"{best['latent_dimension']}", f"{best['latency_ms']:.2f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=list(TRAININGS))
    parser.add_argument("--data", required=True, help="a dataset of heist-encoders generate")
    parser.add_argument("--work", type=Path, default=Path("runs/family-sweeps"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if unknown := [family for family in options.families if family not in TRAININGS]:
        parser.error(f"{unknown[0]!r}: expected one of {', '.join(TRAININGS)}")
    dataset = open_dataset(options.data)
    rows = []
    for family in options.families:
        limits = {"max_latent_dimension": MOST_NUMBERS[family]}
        common: dict[str, Any] = {"preset": "quick", "seed": options.seed, "objective": limits, "resume": True}
        found = sweep(family, dataset, out=options.work / family, **common)
        fixed = sweep(
            packaged_space(family), dataset, out=options.work / f"{family}-packaged", num_samples=1, scheduler="none",
            **common,
        )  # fmt: skip
        best = found.best or {}
        print(f"{family}: { ({key: best.get(key) for key in found.plan['searched']}) }", flush=True)
        rows.append([f"{family}, sweep's winner (trial {best.get('trial')})", *figures(found, dataset)])
        rows.append([f"{family}, packaged configuration", *figures(fixed, dataset)])
        head = ["", "F1 in the sweep", "F1 judged anew", "linear F1", "numbers", "ms a frame"]
        print(table(head, rows), flush=True)
    print(machine())


if __name__ == "__main__":
    main()
