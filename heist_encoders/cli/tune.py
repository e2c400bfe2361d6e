"""``heist-encoders tune``: search the hyperparameters of an autoencoder with Ray Tune."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Address, JsonFlag, ShowConfig, check_folder, examples, given_path, needed
from heist_encoders.cli.schema import flags_of
from heist_encoders.errors import ConfigError
from heist_encoders.json_text import JsonObject
from heist_encoders.tuning.options import SweepOptions

EPILOG = examples(
    "heist-encoders tune vae_paper --data data/memory --out runs/vae_paper",
    "heist-encoders tune tune_configs/vae_paper.yaml --data data/memory --out runs/vae_paper --samples 32",
    "heist-encoders tune my_space.yaml --data data/memory --out runs/mine --seconds 3600 --resume",
    "heist-encoders tune vae_paper --data data/memory --out runs/logged --log mlflow",
    "heist-encoders tune vae_paper --preset smoke --show-config > my_space.yaml",
    "heist-encoders promote runs/vae_paper",
)
FLAGS = {"num_samples": "--samples", "time_budget_s": "--seconds", "max_concurrent": "--concurrent"}


@flags_of(SweepOptions, names=FLAGS, default="as the search space says")
def tune(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE", help="An autoencoder's name (its packaged search space), or a YAML file with a space."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="A dataset's folder or URI, as written by 'heist-encoders generate'. Needed, but for --show-config.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=given_path,
            metavar="DIR",
            help="Where trials, table and best trial go. Needed, but for --show-config.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How much to spend: 'smoke' (a minute), 'quick', 'full' (hours). Default: the space's, else quick.",
        ),
    ] = None,
    given: JsonObject | None = None,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep that OUT holds.")] = False,
    show_config: ShowConfig = False,
    json: JsonFlag = False,
) -> None:
    """Search hyperparameters; by default for mIoU, under limits on latent dimension and latency.

    What is not given here is as the search space or its preset says.

    The mIoU is that of the semantic map that a small probe reads from frozen encodings. 'promote' gives the best trial
    a name.
    """
    from heist_encoders.tuning import load_space

    loaded = load_space(space, preset)
    options = SweepOptions.resolve(loaded.sweep, **(given or {}))
    if show_config:
        print(replace(loaded, sweep=options).to_yaml(), end="")
        return
    data, out = needed(data, "--data"), needed(out, "--out")
    check_folder(out)
    output.set_resume_hint("add --resume to the same command to go on")

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.pipeline.progress import sweep_listener
    from heist_encoders.tuning import sweep

    seconds = options.time_budget_s
    dataset = open_dataset(data)
    if resume:
        _say_where(out)
    with Reporter([f"sweep {space}"], [seconds]) as progress:
        progress.start(0)
        result = sweep(
            loaded,
            dataset,
            out=out,
            options=options,
            resume=resume,
            address=address,
            progress=sweep_listener(progress, seconds),
        )
    if json:
        output.print_json({**result.to_dict(), "best": result.best})
        return
    columns = [
        "rank", "status", "feasible", "objective", "test_loss", "latent_dimension", "latency_ms", "samples",
    ]  # fmt: skip
    rows = result.table[columns + result.plan["searched"]]
    output.print_table(tuple(rows.columns), rows.itertuples(index=False, name=None), title=f"{result.path}")
    if result.lead:
        output.note(result.lead)
    output.note(f"Next: heist-encoders promote {out}")


def _say_where(out: Path) -> None:
    """Say how far the sweep is that goes on."""
    from heist_encoders.tuning import load_result

    try:
        known = load_result(out)
    except ConfigError:
        return  # none there: it begins
    done = int((known.table["status"] != "unfinished").sum())
    if known.finished:
        output.note("the sweep is finished already")
    else:
        output.note(f"going on after {done} finished trials, {len(known.table) - done} go on from their checkpoints")
