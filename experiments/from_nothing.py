"""From nothing to a policy that solves Heist: data, encoder, cloning, DAgger and evaluation in one command.

Shows: how long each part takes, with both cores of a small machine at work: Ray's workers draw the frames, two
       processes train `grid` on them (no labels), a planning head on it learns the oracle's moves with two threads,
       first from labelled frames, then in the situations of its own play (class D), and two processes play levels that
       nothing was trained on. Aim: mean return of 9 in easy mode within 15 minutes on two idle cores.
Run:   python experiments/from_nothing.py --out runs/from-nothing                        (about a quarter of an hour)
       python experiments/from_nothing.py --out runs/from-nothing --part 0.01 --levels 16     (a try, a minute)
       Prints a line a part, and writes from_nothing.json; what is there already is made anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from processes import machine

from heist_encoders.constants import EVALUATION_LEVELS
from heist_encoders.data.generate import generate
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.policies.artifact import load_policy, save_policy
from heist_encoders.policies.card import class_sentence
from heist_encoders.policies.clone import clone
from heist_encoders.policies.dagger import dagger
from heist_encoders.policies.evaluate import Evaluation, play_levels
from heist_encoders.policies.play import LevelResult
from heist_encoders.training.distributed import train_distributed
from heist_encoders.zoo import save_artifact

MODE = "easy"
ENCODER, POLICY = "encoder", "policy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/from-nothing"))
    parser.add_argument("--frames", type=int, default=112_000, help="that the encoder is trained on, each once")
    parser.add_argument("--labelled", type=int, default=140_000, help="labelled frames of behaviour cloning, each once")
    parser.add_argument("--steps", type=int, default=163_840, help="of DAgger")
    parser.add_argument("--levels", type=int, default=1_000, help="evaluation levels")
    parser.add_argument("--workers", type=int, default=2, help="processes or threads of each part")
    parser.add_argument("--part", type=float, default=1.0, help="this part of all frames and steps, for a try")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options)
    print(json.dumps(found, indent=1))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All parts; the figures and the seconds of each."""
    import ray

    torch.set_num_threads(1)
    out, workers = options.out, options.workers
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    frames, labelled, steps = (
        max(1_008, round(number * options.part)) for number in (options.frames, options.labelled, options.steps)
    )
    seconds: dict[str, float] = {}
    with timed("data", seconds):
        spec = DatasetSpec(distribution_mode=MODE, size=round(frames / 0.97), test_fraction=0.03, seed=options.seed + 1)
        dataset = generate(spec, out / "data", workers=workers)
    with timed("encoder", seconds):
        config = {
            "autoencoder": "grid", "schedule": "cosine", "precision": "float32", "loss": {"weighting": "rarity"},
            "max_samples": frames, "epoch_samples": max(1_008, frames // 4), "patience": 100, "seed": options.seed,
        }  # fmt: skip
        trained = train_distributed(config, dataset, workers=workers, out=out / "training")
        artifact = save_artifact(
            out / ENCODER, trained, name="from-nothing", dataset=dataset, training=trained.record()
        )
    ray.shutdown()
    with timed("cloning", seconds):
        policy = clone(
            artifact, mode=MODE, frames=labelled, batch_size=64, lr=5.6e-3, seed=options.seed, workers=workers
        )
    with timed("DAgger", seconds):
        policy = dagger(policy, steps=steps, batch_size=64, lr=1.4e-3, seed=options.seed, workers=workers)
        save_policy(policy, out / POLICY)
    with timed("evaluation", seconds):
        levels = list(EVALUATION_LEVELS[: options.levels])
        parts = [levels[number::workers] for number in range(workers) if levels[number::workers]]
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            results = [level for part in pool.map(play, [str(out)] * len(parts), parts) for level in part]
    figures = Evaluation("policy", False, MODE, tuple(results), seconds["evaluation"]).to_dict()
    found = {
        "machine": machine(),
        "class": class_sentence(policy.training),
        "encoder_test_loss": trained.test_loss,
        "seconds": {**seconds, "all": round(sum(seconds.values()), 1)},
        "evaluation": figures,
    }
    (out / "from_nothing.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def play(out: str, levels: list[int]) -> tuple[LevelResult, ...]:
    """Whole episodes of the policy, in a process of their own."""
    torch.set_num_threads(1)
    policy = load_policy(Path(out) / POLICY, encoder=Path(out) / ENCODER)
    return play_levels(policy, MODE, levels, seed=levels[0] % 1_000_003).levels


@contextmanager
def timed(part: str, seconds: dict[str, float]) -> Iterator[None]:
    """Keep and print the wall time of a part."""
    started = time.perf_counter()
    yield
    seconds[part] = round(time.perf_counter() - started, 1)
    print(f"{part}: {seconds[part]:.0f} s", flush=True)


if __name__ == "__main__":
    main()
