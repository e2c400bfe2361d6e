"""How much faster does `train` train than a plain float32 loop over the same model and the same loss on the same CPU?

Shows: samples/s for each of the original's six architectures with its default configuration.
       - plain: float32, weights and frames in torch's default layout (NCHW), `torch.optim.Adam`, batches read one
         after another from the same memory map. What one writes first.
       - train: `heist_encoders.train` as it is: bfloat16 where the CPU has AMX, channels_last, a fused optimizer that
         is given contiguous weights, batches read ahead, freed memory kept by the process.
       - compiled (only with --compile): the same with `compile: true`; the seconds before its second epoch are its
         start-up cost.
       Rounds are interleaved (plain, train, plain, train, ...); a row is the median over the rounds.
Run:   python experiments/benchmark_training.py DATASET      (5 minutes; DATASET: memory mode, 5,000 frames or more)
"""

# What came out (3 rounds of 2,560 samples, batches of 32, one torch thread on one core of a Xeon with AMX, the other
# core idle, torch 2.13.0+cpu, 2026-11-23; memory mode, 20,000 frames):
#
# | architecture       | plain, samples/s | train, samples/s | train / plain |
# | conv_maxpool       | 848              | 1,684            | 1.99          |
# | conv_maxpool_big   | 754              | 1,631            | 2.24          |
# | conv_no_bottleneck | 570              | 1,224            | 2.15          |
# | conv_unpool        | 219              | 455              | 2.08          |
# | vae_paper          | 177              | 618              | 3.50          |
# | vae_alex           | 148              | 450              | 2.97          |
#
# geometric mean of train / plain: 2.43

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

ARCHITECTURES = ("conv_maxpool", "conv_maxpool_big", "conv_no_bottleneck", "conv_unpool", "vae_paper", "vae_alex")


def plain_rate(architecture: str, dataset: Any, samples: int, batch_size: int) -> float:
    """Samples/s of the loop that one writes first, start-up left out."""
    import numpy as np
    import torch
    from heist_encoders.training.losses import Objective

    from heist_encoders.autoencoders import create_autoencoder
    from heist_encoders.training.config import default_config

    torch.manual_seed(0)
    config = default_config(architecture)
    model = create_autoencoder(architecture, config.params)
    objective = Objective(config.loss, model=model)
    if objective.perceptual is not None:
        objective.perceptual.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam([*model.parameters(), *objective.parameters()], lr=config.learning_rate)
    frames, boxes = dataset.frames("train"), dataset.boxes("train")
    order = np.random.default_rng(0).permutation(len(frames))
    started, count = 0.0, 0
    model.train()
    for step in range(3 + samples // batch_size):
        if step == 3:
            started, count = time.perf_counter(), 0
        rows = order[np.arange(step * batch_size, (step + 1) * batch_size) % len(order)]
        batch = torch.from_numpy(frames[rows]).permute(0, 3, 1, 2).contiguous().float() / 255
        output = model(batch)
        loss = objective(model, batch, output, torch.from_numpy(boxes[rows])).total
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert math.isfinite(loss.item())
        count += batch_size
    return count / (time.perf_counter() - started)


def train_rate(architecture: str, dataset: Any, samples: int, batch_size: int, compiled: bool) -> tuple[float, float]:
    """Samples/s of the second of two epochs of ``train``, and the seconds that the first one took longer."""
    from heist_encoders.training.config import default_config
    from heist_encoders.training.train import train

    config = default_config(
        architecture, batch_size=batch_size, epoch_samples=samples, max_epochs=2, test_samples=64, compile=compiled
    )
    first, second = train(config, dataset).history
    return second.samples_per_second, samples / first.samples_per_second - samples / second.samples_per_second


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--architectures", "--families", default=",".join(ARCHITECTURES))
    parser.add_argument("--samples", type=int, default=2560, help="a measurement (rounded to whole batches)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile")
    options = parser.parse_args()

    import torch

    from heist_encoders.data.dataset import open_dataset

    torch.set_num_threads(options.threads)
    dataset = open_dataset(options.dataset)
    names = options.architectures.split(",")
    ways = ["plain", "train"] + (["compiled"] if options.compile else [])
    found: dict[tuple[str, str], list[float]] = {(name, way): [] for name in names for way in ways}
    start_up: dict[str, float] = {}
    for round_number in range(options.rounds):
        for name in names:
            size, batch = options.samples, options.batch_size
            for way in ways:
                if way == "plain":
                    found[name, way].append(plain_rate(name, dataset, size, batch))
                    continue
                rate, extra = train_rate(name, dataset, size, batch, way == "compiled")
                found[name, way].append(rate)
                if way == "compiled" and round_number == 0:
                    start_up[name] = extra
    load = f"load average {os.getloadavg()[0]:.1f}"
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    print(
        f"{options.rounds} rounds of {options.samples:,} samples, batches of {options.batch_size}, {options.threads} "
        f"torch threads, torch {torch.__version__}, {_cpu()}, {load}, {now}\n"
    )
    print("| architecture | " + " | ".join(f"{way}, samples/s" for way in ways) + " | train / plain |", end="")
    print(" compiled / train | start-up, s |" if options.compile else "")
    print("|---" * (len(ways) + 2 + 2 * options.compile) + "|")
    ratios = []
    for name in names:
        middle = {way: statistics.median(found[name, way]) for way in ways}
        ratios.append(statistics.median(b / a for a, b in zip(found[name, "plain"], found[name, "train"], strict=True)))
        cells = [f"{middle[way]:,.0f}" for way in ways] + [f"{ratios[-1]:.2f}"]
        if options.compile:
            cells += [f"{middle['compiled'] / middle['train']:.2f}", f"{start_up[name]:.0f}"]
        print(f"| {name} | " + " | ".join(cells) + " |")
    mean = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
    print(f"\ngeometric mean of train / plain: {mean:.2f} (wanted: 2.0)")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
