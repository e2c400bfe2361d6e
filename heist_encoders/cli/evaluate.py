"""``heist-encoders evaluate``: what did this autoencoder keep and what did it throw away?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.list import find_figure
from heist_encoders.cli.options import Data, JsonFlag, Seed, check_folder, examples, given_path

EPILOG = examples(
    "heist-encoders evaluate vae_paper --data data/memory --out runs/vae_paper/evaluation",
    "heist-encoders evaluate runs/one/artifact --data data/memory --no-pictures --json",
)


def evaluate(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="A name ('heist-encoders list' shows them), a folder or a URI.")
    ],
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=given_path, metavar="DIR", help="Where figures and pictures go. Default: into the artifact."
        ),
    ] = None,
    seed: Seed = 0,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, max=100, help="Train the probes so often, to say how sure the figures are.")
    ] = 3,
    plan_samples: Annotated[
        int,
        typer.Option("--plan-samples", min=0, help="Labelled frames for the plan accuracy (minutes); 0: none."),
    ] = 100_000,
    play_levels: Annotated[
        int,
        typer.Option(
            "--play-levels",
            min=0,
            help="Evaluation levels that the packaged policy plays by the reconstructions (128: a minute); 0: none.",
        ),
    ] = 0,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Also write pictures, plots and a video.")
    ] = True,
    references: Annotated[
        bool,
        typer.Option(
            "--references/--no-references",
            help="Also probe an untrained encoder and the raw pixels, for comparison.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Measure an encoder on a dataset: reconstruction, what probes read from the encoding, speed.

    Main figures: the mIoU of the semantic map that a probe reads from the frozen encoding, and the plan accuracy.
    """
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.evaluation.evaluate import evaluate as evaluate_artifact
    from heist_encoders.zoo import find_artifact
    from heist_encoders.zoo.names import architecture_of

    if out is not None:
        check_folder(out)
    dataset = open_dataset(data)
    found = find_artifact(artifact, dataset.spec.distribution_mode if architecture_of(artifact) else None)
    with Reporter([f"evaluate {found.name}"]) as progress:
        progress.start(0)
        parts: list[str] = []

        def listen(part: str) -> None:
            parts.append(part)
            progress.count(len(parts) - 1, 5 if play_levels else 4, part)

        metrics = evaluate_artifact(
            found,
            dataset,
            out=out,
            seed=seed,
            seeds=seeds,
            plan_samples=plan_samples,
            play_levels=play_levels,
            pictures=pictures,
            references=references,
            progress=listen,
        )
    if json:
        output.print_json({"artifact": found.name, "path": found.path, "dataset": dataset.hash, "metrics": metrics})
        return
    names = (
        "miou", "plan_accuracy", "decoded_success", "map_presence_f1", "presence_f1", "position_error_px", "mse",
        "object_mse", "psnr", "ssim",
    )  # fmt: skip
    spread = (metrics.get("probes") or {}).get("std") or {}
    rows = [(name, find_figure(metrics, name), spread.get(name)) for name in names]
    heads = ("figure", "value", f"std over {seeds} seeds")
    output.print_table(heads, [row for row in rows if row[1] is not None], title=found.name)
    if play_levels and metrics.get("play") is None:
        output.note("No decoded success: no packaged policy sees such frames, or the decoder gets more than encodings.")
    output.note(f"All figures and pictures: {metrics['folder']}")
