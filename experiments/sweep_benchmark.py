"""A sweep against the original's fixed hyperparameters, for the same time on the same machine.

Shows: best mIoU of the semantic map against wall-clock time of (a) a sweep with ASHA
       over the architecture's packaged search space, as many trials at once as there are cores, one thread each, and
       (b) one training with the original's hyperparameters, with a thread a core: plain mean squared error, no weight
       on elements, the original's sizes, Adam at 1e-3. What wins is all that the package adds, not the search alone:
       the first trial of (a) is the search space's start point, whose loss uses the labels' boxes.
       Both are Tune trials of this package, with the same probes at growing intervals. The budget of (b) counts
       training alone: its start and its probes come on top. At the end both best trials are evaluated anew by probes on
       more frames and with another seed, since the best of many trials is partly luck.
Run:   python experiments/sweep_benchmark.py --data DIR --architecture vae_paper --seconds 900       (twice 15 minutes)
"""

# What came out (2026-11-23, 2 quiet cores of a Xeon with AMX, memory mode, 60,000 frames, --seconds 600) stands in
# docs/tuning.md; F1 within the sweeps was 0.850 and 0.040.
# The sweep's best was .57 after about 20 s, .72 after 45 s, .82 after 165 s (docs/sweep.png). The best of (b) was its
# first checkpoint: it keeps the maze, from which the next move is read, and drops the elements.
# Probes took 3.6% to 7.3% of a trial.

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from processes import machine, table

from heist_encoders.autoencoders import autoencoder_class
from heist_encoders.data.dataset import open_dataset
from heist_encoders.evaluation.probing import probe
from heist_encoders.ray_session import start_ray
from heist_encoders.tuning import SweepResult, sweep
from heist_encoders.tuning.results import ARTIFACT, reports
from heist_encoders.zoo import load_artifact

ORIGINAL: dict[str, Any] = {
    "learning_rate": 1e-3, "weight_decay": 0.0, "batch_size": 32, "schedule": "constant",
    "loss": {"weighting": "none", "semantic_map": 0.0, "beta_warmup": 0.0, "free_bits": 0.0},
}  # fmt: skip
"""With the architecture's own beta and perceptual weight, which only the VAEs have."""


def curve(result: SweepResult, began: float) -> list[tuple[float, float]]:
    """(seconds since the start, best objective so far) at each report of any trial."""
    told = [
        (report["timestamp"] - began, report["objective"])
        for folder in result.path.iterdir()
        if folder.is_dir()
        for report in reports(folder)
        if report.get("epoch", 0) > 0
    ]
    best, points = float("-inf"), []
    for seconds, objective in sorted(told):
        best = max(best, objective)
        points.append((seconds, best))
    return points


def trained(result: SweepResult) -> int:
    """Frames that all trials were trained on, whatever became of them."""
    folders = [folder for folder in result.path.iterdir() if folder.is_dir()]
    return sum(max((report.get("samples", 0) for report in reports(folder)), default=0) for folder in folders)


def evaluated_again(result: SweepResult, dataset: Any) -> dict[str, Any]:
    """The best trial's figures by probes on more frames and with another seed than the sweep's."""
    assert result.best is not None
    model = load_artifact(result.path / result.best["checkpoint"] / ARTIFACT).load_model()
    return probe(model, dataset, seed=101, train_limit=20_000, test_limit=6_000).to_dict()


def plot(curves: dict[str, list[tuple[float, float]]], seconds: float, title: str, out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), dpi=130)
    for (label, points), color in zip(curves.items(), ("#0072B2", "#D55E00"), strict=True):
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        axes.step([*xs, max(seconds, xs[-1])], [*ys, ys[-1]], where="post", label=label, color=color, linewidth=2)
    axes.set(xlabel="seconds of wall-clock time", ylabel="best mIoU so far", title=title, ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(out)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="a dataset of heist-encoders generate")
    parser.add_argument("--architecture", "--family", default="vae_paper")
    parser.add_argument("--seconds", type=float, default=900, help="wall-clock time for each of the two")
    parser.add_argument("--trials", type=int, default=16, help="configurations that the sweep may try")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--epoch-samples", type=int, default=8192)
    parser.add_argument("--out", type=Path, default=Path("docs/sweep.png"), help="the plot")
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    dataset.frames("train"), dataset.frames("test")  # decoded before any clock runs
    start_ray()
    cpus = int(ray.cluster_resources()["CPU"])
    params = autoencoder_class(options.architecture).Params().to_dict()
    loss = autoencoder_class(options.architecture).default_training.get("loss", {})
    original = {**ORIGINAL, "loss": {**loss, **ORIGINAL["loss"]}, "params": params}
    objective = {"probe_frames": 4000}
    budget = {"epoch_samples": options.epoch_samples, "test_samples": 2048}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        began = time.time()
        searched = sweep(
            options.architecture, dataset, out=Path(folder) / "sweep", num_samples=options.trials, objective=objective,
            time_budget_s=options.seconds, train={**budget, "max_epochs": options.epochs},
        )  # fmt: skip
        took = time.time() - began
        curves = {"sweep of this package": curve(searched, began)}
        began = time.time()
        fixed = sweep(
            {"autoencoder": options.architecture, **original}, dataset, out=Path(folder) / "fixed", num_samples=1,
            objective=objective, scheduler="none", cpus_per_trial=cpus,
            train={**budget, "max_epochs": 100_000, "patience": 100_000, "max_seconds": took},
        )  # fmt: skip
        curves["the original's hyperparameters"] = curve(fixed, began)
        rows = []
        for (name, points), result in zip(curves.items(), (searched, fixed), strict=True):
            best, again = result.best, evaluated_again(result, dataset)
            assert best is not None
            rows.append([
                name, str(len(result.table)), f"{trained(result):,}", f"{points[-1][0]:,.0f} s",
                f"{best['objective']:.3f}", f"{again['miou']:.3f}", f"{again['presence_f1']:.3f}",
                f"{again['next_move_accuracy']:.3f}", f"{best['latent_dimension']}", f"{best['latency_ms']:.2f}",
            ])  # fmt: skip
        winner = {key: searched.best[key] for key in searched.plan["searched"]} if searched.best else {}
        shares = searched.table["probe_share"].dropna()
    plot(curves, took, f"{options.architecture}, {cpus} cores, {len(dataset):,} frames", options.out)
    print(f"{options.architecture}, {len(dataset):,} frames, {took:,.0f} s for each. {machine()}\n")
    print(table(
        ["", "trials", "frames trained on", "last report", "mIoU in the sweep", "mIoU again", "presence F1",
         "next move", "latent dimension", "ms a frame"],
        rows,
    ))  # fmt: skip
    print(f"\nbest trial of the sweep: {winner}")
    print(f"probes' share of a trial: {shares.min():.1%} to {shares.max():.1%}")
    print(f"plot: {options.out}")


if __name__ == "__main__":
    main()
