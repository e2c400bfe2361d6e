"""Does the measure that a sweep maximises order the trials of one architecture as a policy's success does?

Shows: a sweep of Ray Tune over one architecture, short trials as in `heist-encoders run`; then on the encoder of each
       trial a policy learns by reward alone from the same number of random moves (self-imitation, one round), and plays
       the first evaluation levels of easy mode. Rank correlations (Spearman) of the trials' measures with its success.
Run:   python experiments/sweep_measure.py --work runs/sweep-measure             (an hour on one core; what
       is done is kept in the folder. Writes docs/sweep_measure.json and the table in docs/tuning.md)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pages import put

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.data.generate import generate
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.evaluation.probing import probe
from heist_encoders.files import write_atomically
from heist_encoders.json_text import plain
from heist_encoders.policies.evaluate import play_levels
from heist_encoders.policies.self_imitation import self_imitate
from heist_encoders.tuning import sweep
from heist_encoders.zoo import load_artifact

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZE, SEED, MAP_SAMPLES = 20_000, 1, 16_000
MEASURES = {
    "objective": "mIoU in the sweep", "miou": "mIoU, more frames", "linear_presence_f1": "linear presence F1",
    "test_loss": "test loss",
}  # fmt: skip
"""Column -> its name; of the last one less is better."""
LESS_IS_BETTER = ("test_loss",)


def trials_of(architecture: str, options: argparse.Namespace, data: Any) -> pd.DataFrame:
    """The trials of a sweep, in the order in which they were drawn, with the folder of each one's artifact."""
    result = sweep(
        architecture, data, out=options.work / architecture, preset="quick", num_samples=options.trials,
        scheduler="none", grace_epochs=1_000, max_concurrent=options.concurrent, seed=SEED, resume=True,
        train={"max_epochs": options.epochs, "epoch_samples": 4_096, "test_samples": 512},
        objective={"probe_frames": 600, "max_latency_ms": 1_000.0},
        progress=lambda event: print(architecture, event.kind, event.trial, event.epoch, flush=True),
    )  # fmt: skip
    table = result.table[result.table["checkpoint"] != ""].sort_values("trial").reset_index(drop=True)
    table["artifact"] = [str(result.path / name / "artifact") for name in table["checkpoint"]]
    return table


def outcome(folder: str, data: Any, options: argparse.Namespace) -> dict[str, Any]:
    """What larger probes read from an encoder, and how a policy plays that learned on it by reward alone."""
    artifact = load_artifact(folder)
    found = probe(artifact.load_model(), data, wanted=("miou", "linear_presence_f1"), map_samples=MAP_SAMPLES)
    policy = self_imitate(artifact, mode="easy", frames=options.frames, rounds=1)
    levels = [int(level) for level in EVALUATION_LEVELS[: options.levels]]
    played = play_levels(policy, "easy", levels, seed=0)
    return {
        "miou": found.miou, "linear_presence_f1": found.figures["linear_presence_f1"], "success": played.success_rate,
        "solved_while_playing": policy.training["solved"],
    }  # fmt: skip


def text_of(tables: dict[str, pd.DataFrame]) -> str:
    """The trials' figures, and how they correlate with success."""
    lines = [
        "| architecture | trial | " + " | ".join(MEASURES.values()) + " | success |",
        "|---" * (3 + len(MEASURES)) + "|",
    ]
    for architecture, table in tables.items():
        for row in table.sort_values("success", ascending=False).to_dict("records"):
            figures = [f"{row[name]:.3f}" for name in MEASURES]
            lines.append(f"| {architecture} | {row['trial']} | {' | '.join(figures)} | {row['success']:.3f} |")
    lines += ["", "| rank correlation with success | " + " | ".join(tables) + " |", "|---" * (1 + len(tables)) + "|"]
    for name, title in MEASURES.items():
        sign = -1 if name in LESS_IS_BETTER else 1
        found = [f"{sign * table[name].corr(table['success'], method='spearman'):+.2f}" for table in tables.values()]
        lines.append(f"| {'−' if sign < 0 else ''}{title} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architectures", nargs="*", default=["grid"], metavar="architecture")
    parser.add_argument("--work", type=Path, default=Path("runs/sweep-measure"))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5, help="of 4,096 frames, that each trial trains")
    parser.add_argument("--concurrent", type=int, default=2, help="trials at a time")
    parser.add_argument("--frames", type=int, default=625_000, help="that each policy plays at random")
    parser.add_argument("--levels", type=int, default=256, help="evaluation levels that each policy plays")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = generate(DatasetSpec(size=SIZE, seed=SEED, distribution_mode="easy"), options.work / "data")
    swept = {architecture: trials_of(architecture, options, data) for architecture in options.architectures}
    done: dict[str, pd.DataFrame] = {}
    for architecture, table in swept.items():
        rows = []
        for row in table.to_dict("records"):
            file = options.work / f"{architecture}-{row['trial']}.json"
            if not file.exists():
                write_atomically(file, json.dumps(plain(outcome(row["artifact"], data, options))))
            rows.append({**row, **json.loads(file.read_text(encoding="utf-8"))})
            print(architecture, row["trial"], {name: rows[-1][name] for name in (*MEASURES, "success")}, flush=True)
        done[architecture] = pd.DataFrame(rows)
    columns = ["trial", *MEASURES, "success", "solved_while_playing"]
    kept = {architecture: table[columns].to_dict("records") for architecture, table in done.items()}
    write_atomically(options.docs / "sweep_measure.json", json.dumps(plain(kept, 6), indent=1) + "\n")
    text = text_of(done)
    put(options.docs / "tuning.md", "sweep measure", text)
    print(text)


if __name__ == "__main__":
    main()
