"""Train, evaluate and package the artifacts that come with heist-encoders.

Shows: how each packaged artifact was made: on an endless stream of balanced frames, each seen once, with the test loss
       on frames of levels that the stream leaves out. What is stored is rounded to float16. ``grid`` learns without
       labels; the others also learn to have the semantic map read from their encoding, which needs labels.
Run:   python experiments/packaged_artifacts.py --train --jobs 17 --seconds 440       (on a GPU with 16 cores, where all
       at once share it by NVIDIA's MPS; `grid` was given --seconds 140. On a CPU: a day on two cores; resumes)
       python experiments/packaged_artifacts.py --train grid --mode easy --samples 400000      (one artifact, shorter)
       python experiments/packaged_artifacts.py --evaluate                      (figures of all, onto their cards)
       python experiments/packaged_artifacts.py --evaluate --maps       (only those of the map's probe; the others stay)
       python experiments/packaged_artifacts.py --evaluate --untrained       (only the references beside them: the same
       networks with random weights; with --seeds 1 --plan-samples 0 on the cards of all but grid)
       python experiments/packaged_artifacts.py --evaluate --play 128 --mode easy     (only: how many levels a policy
       solves that sees reconstructions, those of the trained and of the untrained network)
What came out is on the artifacts' cards: heist_encoders/zoo/packaged/<architecture>/<mode>/README.md;
`heist-encoders list` prints them in a line each.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from processes import machine

import heist_encoders
from heist_encoders.autoencoders.registry import create_autoencoder
from heist_encoders.data.dataset import Dataset
from heist_encoders.data.generate import generate
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.stream import FrameStream
from heist_encoders.evaluation.decoded_play import played
from heist_encoders.evaluation.evaluate import evaluate
from heist_encoders.evaluation.references import untrained_encoder
from heist_encoders.training.train import train
from heist_encoders.zoo import Artifact, load_artifact, save_artifact, update_metrics

PACKAGED = Path(heist_encoders.__file__).parent / "zoo" / "packaged"
EVALUATION_FRAMES, SEED = 112_000, 1
"""A tenth of the levels are left for the test, and the planning head sees 100,000 frames, each once."""
EPOCH = 40_000

COMMON = {
    "schedule": "cosine", "epoch_samples": EPOCH, "patience": 100, "threads": 1, "precision": "float32",
    "loss": {"weighting": "rarity"}, "batch_size": 64, "max_samples": 2_000_000,
}  # fmt: skip
WITH_MAPS = {"weighting": "rarity", "semantic_map": 0.3}
LATENT = {"latent_size": 256, "bottleneck_activation": "none"}
FLAT: dict[str, dict[str, Any]] = {
    "conv_maxpool": {"params": {"channels": (32, 16), **LATENT}, "loss": WITH_MAPS},
    "conv_maxpool_big": {"params": {"hidden_size": 256, **LATENT}, "loss": WITH_MAPS},
    "conv_no_bottleneck": {"params": {"channels": (16, 32, 64, 256)}, "loss": WITH_MAPS},
    "conv_unpool": {"params": {"channels": (16, 16, 32)}, "loss": WITH_MAPS},
    "vae_paper": {"params": {"latent_size": 256}, "loss": {**WITH_MAPS, "beta": 1e-6}},
    "vae_alex": {
        "params": {"channels": (16, 32, 64, 128), "latent_size": 256},
        "loss": {**WITH_MAPS, "beta": 1e-6, "perceptual": 0.1},
    },
    "compact": {"loss": WITH_MAPS},
}
TRAININGS: dict[tuple[str, str], dict[str, Any]] = {
    ("grid", "easy"): {},
    ("grid", "memory"): {},
    ("grid", "hard"): {},
    **{(name, mode): settings for mode in ("easy", "memory") for name, settings in FLAT.items()},
}
"""(architecture, mode) -> settings over COMMON and the architecture's own."""


REFERENCES = (("grid", "easy"), ("grid", "memory"))
"""The artifacts beside which the untrained encoder and raw pixels are evaluated."""
OF_MAPS = ("miou", "map_presence_f1")
"""The figures of the semantic map's probe, beside each class's IoU."""


def commit() -> str:
    """The commit that is checked out, with ``-dirty`` where files other than packaged artifacts differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGED), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude,glob)**/packaged/**")
    return git("describe", "--always") + ("-dirty" if changed else "")


def package(architecture: str, mode: str, options: argparse.Namespace) -> None:
    """Train a packaged artifact and write it; what is done already in ``options.work`` is kept."""
    torch.set_num_threads(1)
    config = {"autoencoder": architecture, **COMMON, **TRAININGS[architecture, mode], "device": options.device}
    config |= {"max_samples": options.samples} if options.samples else {}
    config |= {"max_seconds": options.seconds} if options.seconds else {}
    stream = FrameStream({"distribution_mode": mode, "size": EPOCH, "seed": SEED}, workers=options.drawers)
    folder = options.work / f"{architecture}-{mode}"
    result = train(config, stream, out=folder, callback=lambda report: print(architecture, mode, report, flush=True))
    save_artifact(
        PACKAGED / architecture / mode,
        result,
        name=architecture,
        dataset=stream,
        training=result.record(),
        provenance={
            "script": "experiments/packaged_artifacts.py",
            "heist_encoders": f"{heist_encoders.__version__}, commit {options.commit or commit()}",
            "torch": torch.__version__,
            "hardware": machine(),
        },
        half=True,
    )


def measure(artifact: Artifact, data: Dataset, work: Path, plan_samples: int, seeds: int) -> None:
    """Evaluate a packaged artifact; the figures go onto its card."""
    folder = work / "evaluation" / f"{artifact.name}-{artifact.distribution_mode}"
    references = (artifact.architecture, artifact.distribution_mode) in REFERENCES
    metrics = evaluate(
        artifact, data, out=folder, seeds=seeds, plan_samples=plan_samples, pictures=False, references=references
    )
    update_metrics(artifact, {key: value for key, value in metrics.items() if key != "folder"})
    probes = metrics["probes"]
    figures = ", ".join(f"{name} {probes[name]}" for name in ("miou", "plan_accuracy", "map_presence_f1"))
    print(f"{artifact.name} {artifact.distribution_mode}: {figures}", flush=True)


def measure_maps(artifact: Artifact, data: Dataset, work: Path, seeds: int) -> None:
    """Measure anew what the semantic map's probe reads of a packaged artifact and its references."""
    folder = work / "evaluation" / f"{artifact.name}-{artifact.distribution_mode}-maps"
    references = (artifact.architecture, artifact.distribution_mode) in REFERENCES
    new = evaluate(
        artifact, data, out=folder, seeds=seeds, plan_samples=0, wanted=OF_MAPS, pictures=False, references=references
    )
    metrics: dict[str, Any] = copy.deepcopy(artifact.metrics)
    replace_maps(metrics["probes"], new["probes"])
    for name, row in new["references"].items():
        replace_maps(metrics["references"][name], row)
    update_metrics(artifact, metrics)
    figures = ", ".join(f"{name} {metrics['probes'][name]}" for name in OF_MAPS)
    print(f"{artifact.name} {artifact.distribution_mode}: {figures}", flush=True)


def measure_untrained(artifact: Artifact, data: Dataset, plan_samples: int, seeds: int) -> None:
    """Put what is read from a packaged artifact's architecture with random weights beside its own figures."""
    found = untrained_encoder(
        artifact.architecture, data, params=artifact.params, seeds=seeds, plan_samples=plan_samples,
        wanted=(*OF_MAPS, "presence_f1"),
    )  # fmt: skip
    metrics: dict[str, Any] = copy.deepcopy(artifact.metrics)
    row = {"name": f"{artifact.architecture}, untrained", "architecture": artifact.architecture, **found.to_dict()}
    metrics.setdefault("references", {})["untrained"] = row
    update_metrics(artifact, metrics)
    figures = ", ".join(f"{name} {row.get(name)}" for name in (*OF_MAPS, "presence_f1", "plan_accuracy"))
    print(f"{row['name']}, {artifact.distribution_mode}: {figures}", flush=True)


def measure_play(artifact: Artifact, levels: int) -> None:
    """Put on its card how the packaged policy plays by the reconstructions of an artifact, trained and untrained."""
    metrics: dict[str, Any] = copy.deepcopy(artifact.metrics)
    metrics["play"] = played(artifact.load_model(), artifact, levels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = played(create_autoencoder(artifact.architecture, artifact.params), artifact, levels)
    metrics["references"]["untrained"]["play"] = untrained
    update_metrics(artifact, metrics)
    print(f"{artifact.name} {artifact.distribution_mode}: {metrics['play']}, untrained {untrained}", flush=True)


def replace_maps(row: dict[str, Any], new: dict[str, Any]) -> None:
    """Put the figures of the map's probe into a row of figures, in the place of the old ones."""
    for name in (*OF_MAPS, "iou"):
        row[name] = new[name]
    for thing, values in new["by_thing"].items():
        row["by_thing"][thing] |= {name: value for name, value in values.items() if name.startswith("map_")}
    row.get("std", {}).update({name: value for name, value in new.get("std", {}).items() if name in OF_MAPS})
    if row.get("plan_accuracy") is not None:
        row["scene_score"] = row["miou"] * row["plan_accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architectures", nargs="*", metavar="architecture")
    parser.add_argument("--mode", choices=["memory", "easy", "hard"])
    parser.add_argument("--work", type=Path, default=Path("runs/packaged"))
    parser.add_argument("--train", action="store_true", help="train what is packaged")
    parser.add_argument("--evaluate", action="store_true", help="evaluate what is packaged")
    parser.add_argument("--maps", action="store_true", help="with --evaluate: only by the semantic map's probe")
    parser.add_argument("--untrained", action="store_true", help="with --evaluate: only these networks, untrained")
    parser.add_argument("--play", type=int, metavar="LEVELS", help="with --evaluate: only play by reconstructions")
    parser.add_argument("--samples", type=int, help="frames of each training, instead of its own number")
    parser.add_argument("--seconds", type=float, help="that each training takes at most")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--drawers", type=int, default=1, help="processes that draw the frames of a training")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--commit", help="for the card, where there is no git")
    parser.add_argument("--plan-samples", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    if not options.train and not options.evaluate:
        parser.error("nothing to do; expected --train, --evaluate or both")
    wanted = [
        (architecture, mode)
        for architecture, mode in TRAININGS
        if options.mode in (None, mode) and (not options.architectures or architecture in options.architectures)
    ]
    if not wanted:
        parser.error(f"nothing to do for {options.architectures}, {options.mode}; known: {list(TRAININGS)}")
    if options.train:
        with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
            for job in [pool.submit(package, *pair, options) for pair in wanted]:
                job.result()
    torch.set_num_threads(1)
    for architecture, mode in wanted if options.evaluate else ():
        if options.play:
            measure_play(load_artifact(PACKAGED / architecture / mode), options.play)
            continue
        data = generate(
            DatasetSpec(size=EVALUATION_FRAMES, seed=SEED, distribution_mode=mode, test_fraction=0.1),
            options.work / f"data-{mode}",
        )
        artifact = load_artifact(PACKAGED / architecture / mode)
        if options.untrained:
            measure_untrained(artifact, data, options.plan_samples, options.seeds)
        elif options.maps:
            measure_maps(artifact, data, options.work, options.seeds)
        else:
            measure(artifact, data, options.work, options.plan_samples, options.seeds)


if __name__ == "__main__":
    main()
