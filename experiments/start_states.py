"""What drawn starts cost and give: steps a second of the pixel vector environment, with and without them.

    python experiments/start_states.py [--seconds 5] [--num-envs 64]

Random play, true starts against ``start_share=1.0``, in turns, so that other load on the machine falls on both.
The last lines say what it costs to work a level out, and how far its starts are from the exit.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from heist_encoders.envs import HeistVectorEnv, make_vector_env
from heist_encoders.tasks.heist.placing import make_bank

ROUNDS = 5


def play(env: HeistVectorEnv, seconds: float, random: np.random.Generator) -> tuple[int, int, int]:
    """Steps of single games, episodes ended, and those begun elsewhere than at the level's own start."""
    steps = ended = drawn = 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        _, _, terminated, truncated, info = env.step(random.integers(0, 9, env.num_envs))
        steps += env.num_envs
        ended += int((terminated | truncated).sum())
        drawn += int(info["_start"].sum()) if "_start" in info else 0
    return steps, ended, drawn


def compare(num_envs: int, seconds: float, mode: str, options: dict[str, Any]) -> None:
    """Print a line: true starts, drawn starts, ratio."""
    limit = {"time_limit": options["time_limit"]} if "time_limit" in options else {}
    plain, drawn = (make_vector_env(None, num_envs=num_envs, distribution_mode=mode, **o) for o in (limit, options))
    plain.reset(seed=0)
    drawn.reset(seed=0)
    random = np.random.default_rng(0)
    totals = np.zeros((2, 3))
    for _ in range(ROUNDS):
        for row, env in enumerate((plain, drawn)):
            totals[row] += play(env, seconds / ROUNDS, random)
    rates = totals[:, 0] / seconds
    print(
        f"{mode:7s} {options.get('start_distribution', 'uniform'):11s} limit {options.get('time_limit')!s:5s} "
        f"steps/s {rates[0]:7.0f} -> {rates[1]:7.0f} ratio {rates[1] / rates[0]:.2f}; "
        f"episodes {totals[0, 1]:.0f} -> {totals[1, 1]:.0f}, drawn starts {totals[1, 2]:.0f}"
        + (f", bound {drawn.curriculum['bound']}" if drawn.curriculum else "")
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each environment")
    parser.add_argument("--num-envs", type=int, default=64)
    args = parser.parse_args()
    for mode in ("easy", "hard", "memory"):
        for distribution in ("uniform", "balanced", "curriculum"):
            for limit in ({}, {"time_limit": 60}):
                options = {"start_share": 1.0, "start_distribution": distribution, **limit}
                compare(args.num_envs, args.seconds, mode, options)
    for mode in ("easy", "hard", "memory"):
        seeds = list(range(256))
        make_bank(mode, False, seeds[:1])
        started = time.perf_counter()
        bank = make_bank(mode, False, seeds)
        made = time.perf_counter()
        lengths = bank.path_lengths
        done = time.perf_counter()
        own = lengths[np.arange(256), 0, bank.starts[:, 1], bank.starts[:, 0]]
        print(
            f"{mode:7s} a level {(made - started) / 256 * 1e3:.3f} ms, "
            f"its path lengths {(done - made) / 256 * 1e3:.3f} ms; "
            f"true starts {own.mean():.0f} steps from the exit on average, {own.max()} at most; "
            f"{(lengths >= 0).sum() / 256:.0f} starts a level"
        )


if __name__ == "__main__":
    main()
