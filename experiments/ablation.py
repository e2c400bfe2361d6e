"""Which loss keeps the scene? One setting of the loss changed at a time, and what probes then read.

Shows: for some architectures and the losses plain MSE, rarity of colour (no labels), classes (labels say where errors
       count) and each with the semantic map loss: mIoU of the semantic map, IoU by kind of thing, presence F1 and the
       reconstruction error, all trained from the same seed on equally many frames, evaluated on levels of no training.
Run:   python experiments/ablation.py --work runs/ablation             (easy mode, 96,000 frames a training; resumes)
       python experiments/ablation.py --work runs/ablation --architectures grid --samples 20000
       Prints the table and writes docs/ablation.md. A row that is finished is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from pages import put

from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.stream import FrameStream
from heist_encoders.evaluation.markup import grouped_iou
from heist_encoders.evaluation.probing import probe
from heist_encoders.files import write_atomically
from heist_encoders.training.train import train

DOCS = Path(__file__).resolve().parent.parent / "docs"
LOSSES: dict[str, dict[str, Any]] = {
    "plain MSE": {"weighting": "none"},
    "rarity": {"weighting": "rarity"},
    "classes": {"weighting": "classes"},
    "rarity + semantic map .03": {"weighting": "rarity", "semantic_map": 0.03},
    "classes + semantic map .03": {"weighting": "classes", "semantic_map": 0.03},
    "rarity + semantic map .3": {"weighting": "rarity", "semantic_map": 0.3},
}
PARAMS: dict[str, dict[str, Any]] = {"vae_paper": {"latent_size": 256}}
GROUPS = ("floor", "wall", "agent", "key", "door", "exit", "ring")


def measure(architecture: str, loss: str, options: argparse.Namespace, data: Any) -> dict[str, Any]:
    """Train one row and probe it; keeps the figures in a file."""
    name = f"{architecture}-{options.mode}-{options.samples}-{loss.replace(' ', '_')}"
    file = options.work / "results" / f"{name}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    started = time.monotonic()
    terms = {**({"beta": 1e-6} if architecture.startswith("vae") else {}), **LOSSES[loss]}
    config = {
        "autoencoder": architecture, "params": PARAMS.get(architecture, {}), "loss": terms, "batch_size": 32,
        "max_samples": options.samples, "epoch_samples": options.samples // 4, "threads": 1,
    }  # fmt: skip
    result = train(config, FrameStream(data.spec, data), out=options.work / "train" / name)
    read = probe(result.model, data, wanted=("miou", "presence_f1"))
    row = {
        "architecture": architecture, "loss": loss, "miou": read.miou, "groups": grouped_iou(read.to_dict()),
        "presence_f1": read.figures["presence_f1"], "mse": result.history[result.best_epoch].mse,
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(row, indent=1))
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    head = ("architecture", "loss", "mIoU", *GROUPS, "presence F1 by an MLP", "MSE")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        figures = [f"{row['miou']:.3f}", *(f"{row['groups'][group] or 0:.2f}" for group in GROUPS)]
        cells = [row["architecture"], row["loss"], *figures, f"{row['presence_f1']:.2f}", f"{row['mse']:.4f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--mode", default="easy", choices=["easy", "hard", "memory"])
    parser.add_argument("--samples", type=int, default=96_000)
    parser.add_argument("--architectures", nargs="+", default=["grid", "vae_paper"])
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec = DatasetSpec(distribution_mode=options.mode, size=24_000, seed=71, test_fraction=0.15)
    data = generate_local(spec, options.work / f"data-{options.mode}")
    rows = []
    for architecture in options.architectures:
        for loss in LOSSES:
            rows.append(measure(architecture, loss, options, data))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    text = table(rows)
    print(text)
    if not options.no_docs:
        put(DOCS / "ablation.md", "table", text)


if __name__ == "__main__":
    main()
