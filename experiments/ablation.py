"""Why does it work? One thing changed at a time: balance of the data, terms of the loss, latent size.

Shows: what linear and MLP probes read from encoders that differ in one setting, all trained from the same seed on
       equally many frames and probed on the same balanced frames; the test levels appear in no training.
       - balance: frames drawn balanced by the 14 cases, or met in natural play (half by an oracle, half at random),
         each with and without element weighting;
       - element weighting: the share alpha of the pixel loss that goes to the elements' pixels, 0, .3, .5, .9;
       - perceptual loss: on and off, with and without element weighting;
       - element map loss (the encoding must tell where elements lie): on and off, with and without element weighting;
       - latent size: 16, 32, 64, 128, 256.
       Writes docs/ablation.md and docs/ablation.png; prints the table (--json: also as JSON).
Run:   python experiments/ablation.py --work runs/ablation                          (prints the time it will take first)
       python experiments/ablation.py --work runs/ablation --family vae_paper --samples 50000
       A cell that is finished is not done again; one that was interrupted goes on at its last epoch.
       --processes 2 trains two cells at once, each with one thread.
"""

# What came out (2026-11-23, --samples 60000 --processes 2, 25 minutes beside other trainings): docs/ablation.md and
# docs/ablation.png; docs/training.md says in words what follows.

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from heist_encoders.files import write_atomically

DOCS = Path(__file__).resolve().parent.parent / "docs"
ALPHAS, LATENTS = (0.0, 0.3, 0.5, 0.9), (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Cell:
    """One training. The defaults are what the others are compared with."""

    balance: str = "elements"
    alpha: float = 0.9
    perceptual: float = 0.1
    latent: int = 64
    element_map: float = 0.0

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.balance}-a{self.alpha:g}-p{self.perceptual:g}-l{self.latent}-m{self.element_map:g}"


BASE = Cell()
GROUPS: dict[str, list[Cell]] = {
    "balance of the data": [Cell(balance=b, alpha=a) for b in ("natural", "elements") for a in (0.0, 0.9)],
    "element weighting": [Cell(alpha=a) for a in ALPHAS],
    "perceptual loss": [Cell(perceptual=p, alpha=a) for a in (0.0, 0.9) for p in (0.0, 0.1)],
    "element map loss": [Cell(element_map=m, alpha=a) for a in (0.0, 0.9) for m in (0.0, 1.0)],
    "latent size": [Cell(latent=n) for n in LATENTS],
}


def cells() -> list[Cell]:
    """Every cell once, the one that all are compared with first."""
    return list(dict.fromkeys([BASE, *(cell for group in GROUPS.values() for cell in group)]))


def config_of(cell: Cell, family: str, samples: int, seed: int) -> Any:
    """The training of a cell: the family's defaults but for what the cell sets."""
    from heist_encoders.training.config import default_config

    return default_config(
        family,
        params={"latent_size": cell.latent},
        loss={"element_weight": cell.alpha, "perceptual": cell.perceptual, "element_map": cell.element_map},
        max_samples=samples,
        epoch_samples=max(1, samples // 8),
        max_epochs=100,
        patience=100,
        seed=seed,
        threads=1,
    )


def datasets(work: Path, mode: str, size: int) -> dict[str, Any]:
    """A dataset of each balance, made once; both have the same kinds of levels, and the same test levels' range."""
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.manifest import DatasetSpec

    found = {}
    for balance in ("elements", "natural"):
        spec = DatasetSpec.from_dict({"distribution_mode": mode, "balance": balance, "size": size, "seed": 71})
        found[balance] = generate_local(spec, work / f"data-{mode}-{size}-{balance}")
    return found


def measure(cell: Cell, options: Any) -> dict[str, Any]:
    """Train one cell and ask the probes, always on the balanced dataset; keeps the row in a file."""
    import numpy as np
    import torch
    from heist_encoders.evaluation.usefulness import usefulness

    from heist_encoders.evaluation.metrics import reconstruction_metrics
    from heist_encoders.training.train import train

    torch.set_num_threads(1)
    started = time.monotonic()
    data = datasets(options.work, options.mode, options.frames)
    config = config_of(cell, options.family, options.samples, options.seed)
    result = train(config, data[cell.balance], out=options.work / "train" / _name(cell, options))
    judge = data["elements"]
    found = usefulness(result.model, judge, seeds=options.probe_seeds)
    shown = slice(0, 2000)
    pixels = reconstruction_metrics(
        result.model, np.array(judge.frames("test")[shown]), np.array(judge.boxes("test")[shown])
    )
    row = {
        **asdict(cell),
        "family": options.family,
        "samples": result.samples,
        "mlp_f1": found.mlp_f1,
        "linear_f1": found.linear_f1,
        "mlp_f1_std": found.std.get("mlp_f1", 0.0),
        "linear_f1_std": found.std.get("linear_f1", 0.0),
        "position_error_px": found.position_error_px,
        "oracle_move_accuracy": found.oracle_move_accuracy,
        "mse": pixels["mse"],
        "element_mse": pixels["element_mse"],
        "active_units": pixels["active_units"],
        "seconds": round(time.monotonic() - started, 1),
    }
    write_atomically(result_file(cell, options), json.dumps(row, indent=1))
    return row


def measure_all(missing: list[Cell], options: Any, each: float) -> None:
    """Measure cells in ``options.processes`` processes; ``each`` is the seconds that one will probably take."""
    started, left = time.monotonic(), list(missing)
    running: dict[Future[dict[str, Any]], Cell] = {}
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        while left or running:
            late = options.max_minutes and time.monotonic() - started + each > options.max_minutes * 60
            while left and not late and len(running) < options.processes:
                cell = left.pop(0)
                running[pool.submit(measure, cell, options)] = cell
            if not running:
                print(f"{len(left)} cells left for another time")
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell, row = running.pop(future), future.result()
                each = row["seconds"]
                told = f"MLP F1 {row['mlp_f1']:.3f}, linear F1 {row['linear_f1']:.3f}, {each:.0f} s"
                print(f"{cell.key}: {told}", flush=True)


def _name(cell: Cell, options: Any) -> str:
    return f"{options.family}-{options.mode}-{options.frames}-{options.samples}-s{options.seed}-{cell.key}"


def result_file(cell: Cell, options: Any) -> Path:
    """Where a cell's row is kept."""
    return Path(options.work / "results" / f"{_name(cell, options)}-x{options.probe_seeds}.json")


def estimate(options: Any, data: dict[str, Any]) -> float:
    """Seconds a cell will take, from a short training of the first one."""
    from heist_encoders.training.config import TrainConfig
    from heist_encoders.training.train import train

    full = config_of(BASE, options.family, options.samples, options.seed).to_dict()
    short = {**full, "epoch_samples": 640, "max_samples": 1280, "test_samples": 64}
    rate = train(TrainConfig.from_dict(short), data["elements"]).history[-1].samples_per_second
    return options.samples / rate * 1.1 + 15 + 12 * options.probe_seeds


def table(rows: dict[Cell, dict[str, Any]]) -> str:
    """Markdown, one block a question."""
    heads = ("MLP F1", "linear F1", "position error, px", "next move", "MSE of elements", "MSE", "units that vary")
    lines = []
    for title, group in GROUPS.items():
        lines += [f"| {title} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for cell in group:
            if cell not in rows:
                continue
            row = rows[cell]
            figures = (
                f"{row['mlp_f1']:.3f} ± {row['mlp_f1_std']:.3f}",
                f"{row['linear_f1']:.3f} ± {row['linear_f1_std']:.3f}",
                f"{row['position_error_px']:.1f}",
                f"{row['oracle_move_accuracy']:.3f}",
                f"{row['element_mse']:.4f}",
                f"{row['mse']:.4f}",
                f"{row['active_units']:.0f} of {cell.latent}",
            )
            lines.append(f"| {describe(title, cell)} | " + " | ".join(figures) + " |")
        lines.append("")
    return "\n".join(lines)


def describe(title: str, cell: Cell) -> str:
    """A cell in the words of its question; the common one is marked."""
    data = {"elements": "balanced", "natural": "natural play"}[cell.balance]
    words = {
        "balance of the data": f"{data}, alpha {cell.alpha:g}",
        "element weighting": f"alpha {cell.alpha:g}",
        "perceptual loss": f"{'on' if cell.perceptual else 'off'}, alpha {cell.alpha:g}",
        "element map loss": f"{'on' if cell.element_map else 'off'}, alpha {cell.alpha:g}",
        "latent size": f"{cell.latent} numbers",
    }[title]
    return f"**{words}**" if cell == BASE else words


def plot(rows: dict[Cell, dict[str, Any]], path: Path) -> None:
    """One panel a question: F1 of both probes, with the deviation over the probes' seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(GROUPS), figsize=(17, 4.2), sharey=True)
    for axis, (title, group) in zip(axes, GROUPS.items(), strict=True):
        shown = [cell for cell in group if cell in rows]
        labels = [describe(title, cell).strip("*").removesuffix(" numbers").replace(", ", "\n") for cell in shown]
        for probe, style, name in (("mlp", "o-", "MLP probe"), ("linear", "s--", "linear probe")):
            axis.errorbar(
                range(len(shown)),
                [rows[cell][f"{probe}_f1"] for cell in shown],
                [rows[cell][f"{probe}_f1_std"] for cell in shown],
                fmt=style if title in ("element weighting", "latent size") else style[0],
                capsize=3,
                label=name,
            )
        axis.set_xticks(range(len(shown)), labels, fontsize=8)
        axis.set_title(f"{title}, numbers" if title == "latent size" else title, fontsize=10)
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("mean F1 over the 7 elements")
    axes[0].set_ylim(0, 1)
    axes[-1].legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def page(rows: dict[Cell, dict[str, Any]], options: Any) -> str:
    """The content of docs/ablation.md."""
    return f"""# Ablation: what makes the encodings useful

One setting is changed at a time. Every encoder is a `{options.family}` trained on {options.samples:,} frames of
{options.mode} mode from the same seed, then frozen; probes are trained on its encodings of balanced frames and judged
on balanced frames of levels that no training saw. **Bold** is the common cell: balanced data, alpha {BASE.alpha:g},
perceptual loss {BASE.perceptual:g}, no element map loss, {BASE.latent} numbers. The deviations are over
{options.probe_seeds} seeds of the probes, of one training each: differences of a few hundredths between trainings mean
little.

![F1 of the probes by setting](ablation.png)

{table(rows)}
Made by

```
python experiments/ablation.py --family {options.family} --mode {options.mode} --frames {options.frames} \\
  --samples {options.samples} --seed {options.seed} --probe-seeds {options.probe_seeds}
```
"""


def report(rows: dict[Cell, dict[str, Any]], options: Any) -> None:
    """Print the table and write the page and the plot."""
    print(table(rows))
    if options.json:
        print(json.dumps(list(rows.values())))
    options.docs.mkdir(parents=True, exist_ok=True)
    plot(rows, options.docs / "ablation.png")
    write_atomically(options.docs / "ablation.md", page(rows, options))
    print(f"written: {options.docs / 'ablation.md'}, {options.docs / 'ablation.png'}")


def main(arguments: Iterable[str] | None = None) -> None:
    """Do what is not done yet, then print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="datasets, checkpoints and results")
    parser.add_argument("--family", default="vae_alex", help="one with a latent_size")
    parser.add_argument("--samples", type=int, default=100_000, help="frames that each cell is trained on")
    parser.add_argument("--frames", type=int, default=30_000, help="frames of a dataset, a tenth of them for testing")
    parser.add_argument("--mode", default="memory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe-seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="cells at once, a thread each")
    parser.add_argument("--max-minutes", type=float, help="begin no cell that would probably end later")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where ablation.md and ablation.png go")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(None if arguments is None else list(arguments))

    import torch

    torch.set_num_threads(1)
    data = datasets(options.work, options.mode, options.frames)
    files = {cell: result_file(cell, options) for cell in cells()}
    files[BASE].parent.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell, file in files.items() if not file.exists()]
    if missing:
        each = estimate(options, data)
        minutes = each * len(missing) / 60 / options.processes
        print(f"{len(missing)} of {len(files)} cells, {each:.0f} s each: {minutes:.0f} minutes or more", flush=True)
        measure_all(missing, options, each)
    rows = {cell: json.loads(file.read_text()) for cell, file in files.items() if file.exists()}
    if rows:
        report(rows, options)


if __name__ == "__main__":
    main()
