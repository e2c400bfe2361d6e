"""Why does a planning head use less of a flat encoding? Plan accuracy against latent dimension and length of training.

Shows: `conv_maxpool` (the flat architecture with the highest mIoU) with several latent dimensions, trained on several
       numbers of frames of one stream, and `grid` beside it: mIoU of the semantic map, and plan accuracy of the
       planning head after 100,000 labelled frames. Easy mode, levels that no training saw. The packaged artifacts' rows
       are from their cards.
Run:   python experiments/flat_limits.py --work runs/flat-limits         (half an hour on one core; resumes)
       Prints the tables and writes them to docs/encoders.md. A row that is finished is not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from pages import put

from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.stream import FrameStream
from heist_encoders.evaluation.probing import probe
from heist_encoders.files import write_atomically
from heist_encoders.training.train import train
from heist_encoders.zoo import find_artifact

PAGE = Path(__file__).resolve().parent.parent / "docs" / "encoders.md"
FLAT: dict[str, Any] = {
    "autoencoder": "conv_maxpool", "params": {"channels": (32, 16), "bottleneck_activation": "none"},
    "loss": {"weighting": "rarity", "semantic_map": 0.3}, "batch_size": 64, "schedule": "cosine", "threads": 1,
}  # fmt: skip
GRID: dict[str, Any] = {
    "autoencoder": "grid", "loss": {"weighting": "rarity"}, "batch_size": 64, "schedule": "cosine", "threads": 1,
}  # fmt: skip
SIZES, FRAMES, MORE_FRAMES = (64, 256, 1_024), 32_000, 128_000
PLAN_SAMPLES = 100_000
ROWS: list[dict[str, Any]] = [
    *({"architecture": "conv_maxpool", "latent_size": size, "frames": FRAMES} for size in SIZES),
    {"architecture": "grid", "latent_size": None, "frames": FRAMES},
    {"architecture": "conv_maxpool", "latent_size": 256, "frames": MORE_FRAMES},
]
PACKAGED = ("conv_maxpool", "grid")


def measure(row: dict[str, Any], data: Any, work: Path) -> dict[str, Any]:
    """Train one encoder and probe it; keeps the figures in a file."""
    encoder = f"{row['architecture']}-{row['latent_size'] or 'cells'}-{row['frames']}"
    file = work / "results" / f"{encoder}-{PLAN_SAMPLES}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    started = time.monotonic()
    config = dict(GRID if row["latent_size"] is None else FLAT)
    if row["latent_size"] is not None:
        config["params"] = {**config["params"], "latent_size": row["latent_size"]}
    config |= {"max_samples": row["frames"], "epoch_samples": row["frames"] // 4}
    result = train(config, FrameStream(data.spec, data), out=work / "train" / encoder)
    read = probe(result.model, data, wanted=("miou",), plan_samples=PLAN_SAMPLES)
    found = {
        **row, "latent_dimension": read.latent_dimension, "miou": read.miou, "plan_accuracy": read.plan_accuracy,
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(found, indent=1))
    return found


def packaged(architecture: str) -> dict[str, Any]:
    """The row of a packaged artifact, from its card."""
    artifact = find_artifact(architecture, "easy")
    return {
        "name": f"{architecture} (packaged)", "architecture": architecture, "frames": artifact.training["samples"],
        "latent_dimension": math.prod(artifact.encoding_shape),
        **{name: artifact.metrics["probes"][name] for name in ("miou", "plan_accuracy")},
    }  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """Markdown."""
    head = ("architecture", "latent dimension", "training frames", "mIoU", "plan accuracy")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in sorted(found, key=lambda r: (r["architecture"], r["frames"], r["latent_dimension"])):
        numbers = [f"{row[name]:,}" for name in ("latent_dimension", "frames")]
        cells = [row["name"], *numbers, f"{row['miou']:.2f}", f"{row['plan_accuracy']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/flat-limits"))
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # The planning head sees each frame once; a tenth of the levels is left for the test.
    spec = DatasetSpec(distribution_mode="easy", size=112_000, seed=1, test_fraction=0.1)
    data = generate_local(spec, options.work / "data")
    found = []
    for row in ROWS:
        found.append({"name": row["architecture"], **measure(row, data, options.work)})
        print(table(found[-1:]).splitlines()[-1], flush=True)
    text = table([*found, *map(packaged, PACKAGED)])
    print(text)
    if not options.no_docs:
        put(PAGE, "flat", text)


if __name__ == "__main__":
    main()
