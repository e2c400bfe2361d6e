"""How fast the planning head learns the oracle's moves on the true state: accuracy against labelled samples.

Why ``fit_head`` has its defaults: 38,400 samples of easy mode, each seen once, accuracy on 2,048 situations of unseen
levels, one seed, cosine learning rate, 24 channels and 16 iterations, first convolution 3x3:

    batch  lr     first convolution's initial weights  accuracy
    128    3e-3   torch's own                          .618
    64     3e-3   torch's own                          .679
    64     3e-3   torch's own; Kaiming's in the step   .656
    32     2e-3   torch's own                          .709
    64     3e-3   Kaiming's (normal)                   .728
    32     2e-3   Kaiming's, 1x1                       .732
    32     2e-3   Kaiming's, twice as large            .753
    32     2e-3   Kaiming's                            .755
    32     4e-3   Kaiming's (the defaults now)         .784

About 2.4 ms a sample on one contended core, whatever the batch size from 32 on.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray

from heist_encoders.data.manifest import CHUNK_FRAMES, DatasetSpec
from heist_encoders.data.stream import stream
from heist_encoders.policies.planner import PlannerConfig, fit_planner, plan_accuracy, plan_logits
from heist_encoders.tasks.heist.scene import true_state
from heist_encoders.tasks.targets import move_distribution

TEST_CHUNK = 10_000
"""Chunk of the stream from which test frames are taken: far behind those to learn from, so of other levels."""


def true_states(mode: str, count: int, start: int = 0) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Balanced situations as ``Task.true_state`` gives them, float16 (count, 14, size, size), and the oracle's moves,
    float32 (count, 9), uniform over the moves that it could make."""
    states, moves = [], []
    batches = stream(DatasetSpec(distribution_mode=mode, seed=2), batch_size=CHUNK_FRAMES, start=start)
    for _ in range(-(-count // CHUNK_FRAMES)):
        labels = next(batches).labels
        states.append(true_state(labels, mode, places=False).astype(np.float16))
        moves.append(move_distribution(labels["oracle_moves"].astype(np.int64)))
    return np.concatenate(states)[:count], np.concatenate(moves)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="easy", choices=["easy", "hard"])
    parser.add_argument("--samples", type=int, nargs="+", default=[51_200, 102_400, 204_800])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    test = true_states(args.mode, 4096, TEST_CHUNK)
    config = PlannerConfig(channels=args.channels, iterations=args.iterations, kernel=args.kernel)
    for samples in args.samples:
        train = true_states(args.mode, samples)
        started = time.perf_counter()
        model = fit_planner(
            *train, samples=samples, config=config, batch_size=args.batch_size, lr=args.lr, seed=args.seed
        )
        seconds = time.perf_counter() - started
        accuracy = plan_accuracy(plan_logits(model, test[0]), test[1])
        size = sum(p.numel() for p in model.parameters())
        print(
            f"{args.mode}: {samples:7,} samples, accuracy {accuracy:.3f}, {seconds:.0f} s, {size:,} parameters, "
            f"batch {args.batch_size}, lr {args.lr:g}, {args.channels}x{args.iterations}",
            flush=True,
        )


if __name__ == "__main__":
    main()
