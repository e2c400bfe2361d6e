"""Does PPO forget the policy that it starts from? Success of the packaged policy ``best``, easy mode, before and after.

    python experiments/warm_start.py --variant none --variant both [--iterations 16] [--levels 200]

Iterations of 32 games x 128 steps with the settings of ``ppo_config``, each variant from the same policy and seed, on
true starts; success on evaluation levels, whole episodes, sampled actions. ``none`` takes the head's weights alone;
``critic`` trains only the critic at first; ``kl`` holds the policy to its start; ``both`` is what
``ppo train --warm-start`` does, with a shorter phase of the critic. Class D: the policy learned from the oracle before.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.policies.artifact import load_policy
from heist_encoders.policies.evaluate import Evaluation, play_levels
from heist_encoders.rllib import evaluate_policy, ppo_config
from heist_encoders.training.hardware import keep_memory

GAMES, STEPS = 32, 128
VARIANTS = {
    "none": {"critic_steps": 0, "imitation": 0.0},
    "critic": {"imitation": 0.0},
    "kl": {"critic_steps": 0},
    "both": {},
}
FIGURES = ("vf_explained_var", "entropy", "imitation_kl")


def line(name: str, steps: int, found: Evaluation, more: str = "") -> None:
    """Print a row."""
    low, high = found.to_dict()["return_interval"]
    between = f"{low:.2f} to {high:.2f}"
    print(f"{name:7s} {steps:7,d} {found.success_rate:7.1%} {found.return_mean:7.2f}  {between}  {more}", flush=True)


def train(name: str, args: argparse.Namespace) -> None:
    """PPO of one variant, evaluated now and then."""
    options: dict[str, Any] = {"critic_steps": args.critic_iterations * GAMES * STEPS, **VARIANTS[name]}
    config = ppo_config("grid", distribution_mode="easy", num_envs=GAMES, warm_start="best", seed=args.seed, **options)
    algorithm = config.build_algo()
    seconds = 0.0
    for iteration in range(1, args.iterations + 1):
        started = time.perf_counter()
        with keep_memory():  # as train_ppo does
            learner = algorithm.train()["learners"]["default_policy"]
        seconds += time.perf_counter() - started
        print(f"{name} iteration {iteration}, {seconds:.0f} s", file=sys.stderr, flush=True)
        if iteration % args.every == 0 or iteration == args.iterations:
            figures = [f"{key} {float(learner[key]):.3f}" for key in FIGURES if key in learner]
            found = evaluate_policy(algorithm, levels=args.levels)
            line(name, iteration * GAMES * STEPS, found, ", ".join([*figures, f"{seconds:.0f} s"]))
    algorithm.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", choices=list(VARIANTS), help="default: none and both")
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--critic-iterations", type=int, default=4)
    parser.add_argument("--every", type=int, default=4, help="iterations between evaluations")
    parser.add_argument("--levels", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("variant   steps success  return  95% interval", flush=True)
    policy = load_policy("best", distribution_mode="easy")
    line("before", 0, play_levels(policy, "easy", EVALUATION_LEVELS[: args.levels]))
    for name in args.variant or ("none", "both"):
        train(name, args)


if __name__ == "__main__":
    main()
