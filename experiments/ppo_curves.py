"""Which policies solve Heist from frozen encodings? Learning curves of classes A to D, in one figure and one table.

Shows: easy mode, and two runs of memory mode; whole episodes from true starts, each of the first evaluation levels,
       actions drawn from the policy: behaviour cloning of a planning head on the packaged encoders, on the true state
       (ceiling), an untrained encoder (floor) and raw pixels; PPO by RLlib from true starts, with starts that move back
       from the exit, and with a reward for coming nearer; random moves. Frames that trained an encoder and frames that
       were used as demonstrations are counted.
Run:   python experiments/ppo_curves.py --work runs/curves            (hours on one core; resumes, also after a kill -9)
       python experiments/ppo_curves.py --work runs/curves --scale 4  (four times as long for each PPO run: it goes on)
       python experiments/ppo_curves.py --work runs/curves --only "PPO, grid" --levels 250     (some runs, fewer levels)
       python experiments/ppo_curves.py --work runs/curves --show     (only the figure and the tables)
       Writes docs/curves.png, docs/curves.json (all figures in it) and the tables of docs/curves.md and README.md after
       each run. What docs/curves.json holds of runs that are not in the folder is shown too.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from curves import cloning, own, reward
from curves.runs import PIXELS, STATE, Run, all_runs, packaged_encoders
from curves.showing import show
from curves.sources import Encodings, Pixels, TrueState
from curves.store import Store, player, publish, published

import heist_encoders
from heist_encoders.autoencoders.registry import autoencoder_class, create_autoencoder
from heist_encoders.data.stream import FrameStream
from heist_encoders.errors import HeistEncodersError
from heist_encoders.policies.artifact import load_policy
from heist_encoders.zoo import Artifact, load_artifact, save_artifact

PACKAGED = Path(heist_encoders.__file__).parent / "zoo" / "packaged"
DOCS = Path(__file__).resolve().parent.parent / "docs"
PUBLISHED = "curves.json"
"""All figures of docs/curves.png, beside it."""


def untrained_grid(folder: Path) -> Artifact:
    """An artifact of ``grid`` with the weights that it is created with."""
    if not (folder / "config.json").exists():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create_autoencoder("grid", autoencoder_class("grid").params_for({}, 9))
        frames = FrameStream({"distribution_mode": "easy", "seed": 1, "size": 4_000})
        save_artifact(folder, model, name="untrained", dataset=frames, training={"samples": 0})
    return load_artifact(folder)


def go_on(run: Run, store: Store, options: argparse.Namespace) -> None:
    """Whatever of a run is still to do."""
    levels = {"levels": options.levels, "point_levels": options.point_levels}
    if run.method == "ppo":
        reward.learn(run, store, seconds=60 * run.minutes * options.scale, **levels)
    elif run.method == "own":
        own.learn(run, store, **levels)
    elif run.method == "clone":
        source = {STATE: TrueState, PIXELS: Pixels}.get(run.source, lambda: Encodings(run.encoder))()
        only = run.settings.get("levels")
        cloning.learn(source, store, blocks=run.amount // cloning.FRAMES, seed=run.seed, train_levels=only, **levels)
    elif run.method == "policy":
        store.put(run.amount, load_policy("best", distribution_mode="easy").metrics[run.settings["figures"]])
    else:
        store.measure(0, 0.0, options.levels, player("random", run.mode, **run.settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/curves"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only runs whose name has one of these in it")
    parser.add_argument("--frames", type=int, default=241_920, help="labelled frames of behaviour cloning")
    parser.add_argument("--scale", type=float, default=1.0, help="multiple of each PPO run's time")
    parser.add_argument("--minutes", type=float, help="begin no further run after so many minutes")
    parser.add_argument("--levels", type=int, default=1_000, help="evaluation levels at the end of a run")
    parser.add_argument("--point-levels", type=int, default=100, help="and at the points before")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the figure and curves.md")
    parser.add_argument("--show", action="store_true", help="train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.frames = max(1, round(options.frames / cloning.FRAMES)) * cloning.FRAMES
    try:
        best = load_policy("best", distribution_mode="easy")
    except HeistEncodersError:  # its encoder was trained anew since
        best = None
    encoders = packaged_encoders(PACKAGED, "easy")
    references = encoders["grid"].metrics.get("references", {}).get("untrained", {})
    untrained = dataclasses.replace(
        untrained_grid(options.work / "untrained-grid"), metrics={"probes": references, "play": references.get("play")}
    )
    runs = all_runs(encoders, untrained, best, options.frames, packaged_encoders(PACKAGED, "memory")["grid"])
    wanted = [run for run in runs if not options.only or any(name in run.name for name in options.only)]
    if not wanted:
        parser.error(
            f"--only {options.only}: no run has that in its name; expected one of {[run.name for run in runs]}"
        )
    before = published(options.docs / PUBLISHED)
    stores = {run.name: Store(options.work / run.folder, before.get(run.folder, ())) for run in runs}
    begun = time.monotonic()
    for run in () if options.show else wanted:
        if options.minutes is not None and time.monotonic() - begun > 60 * options.minutes:
            break
        started = time.monotonic()
        go_on(run, stores[run.name], options)
        show(runs, stores, options.docs)
        publish(options.docs / PUBLISHED, stores)
        figures = stores[run.name].points()[-1].figures
        print(
            f"{run.name}: return {figures['return_mean']:.2f}, success {figures['success_rate']:.3f}, "
            f"{figures['num_levels']} levels, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    publish(options.docs / PUBLISHED, stores)
    print(show(runs, stores, options.docs))


if __name__ == "__main__":
    main()
