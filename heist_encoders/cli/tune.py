"""``heist-encoders tune``: search the hyperparameters of an autoencoder with Ray Tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Address, Data, JsonFlag, Seed, check_folder, examples

EPILOG = examples(
    "heist-encoders tune vae_paper --data data/memory --out runs/vae_paper",
    "heist-encoders tune tune_configs/vae_paper.yaml --data data/memory --out runs/vae_paper --samples 32",
    "heist-encoders tune my_space.yaml --data data/memory --out runs/mine --seconds 3600 --resume",
    "heist-encoders tune vae_paper --data data/memory --out runs/logged --log mlflow",
    "heist-encoders promote runs/vae_paper",
)


def tune(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE", help="An autoencoder's name (its packaged search space), or a YAML file with a space."
        ),
    ],
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where trials, table and winner go.")],
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How much to spend: 'smoke' (a minute), 'quick', 'full' (hours)."),
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="Configurations to try.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, help="Stop the search after so many seconds.")
    ] = None,
    seed: Seed = 0,
    cpus_per_trial: Annotated[
        int, typer.Option("--cpus-per-trial", min=1, help="CPUs, and threads, that a trial takes.")
    ] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-trial", min=0, help="GPUs that a trial takes, 0.25 too. Default: 0.5 if there is one."
        ),
    ] = None,
    concurrent: Annotated[
        int | None,
        typer.Option("--concurrent", min=1, help="Most trials at once. With 1, the seed alone decides the winner."),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="NAME", help="Also log to 'wandb' or 'mlflow' (extras). May be given twice."),
    ] = None,
    address: Address = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep that OUT holds.")] = False,
    json: JsonFlag = False,
) -> None:
    """Search hyperparameters; by default for usefulness, under limits on encoding size and latency.

    Usefulness is the mean F1 of an MLP probe for the 7 elements on frozen encodings. 'promote' gives the winner a name.
    """
    check_folder(out)
    output.set_resume_hint("add --resume to the same command to go on")

    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.tuning import load_space, sweep

    loaded = load_space(space, preset)
    dataset = open_dataset(data)
    with Reporter([f"sweep {space}"], [seconds]) as progress:
        progress.start(0)
        result = sweep(
            loaded,
            dataset,
            out=out,
            num_samples=samples,
            time_budget_s=seconds,
            seed=seed,
            resume=resume,
            cpus_per_trial=cpus_per_trial,
            gpus_per_trial=gpus_per_trial,
            max_concurrent=concurrent,
            log=log or (),
            address=address,
            progress=sweep_listener(progress, seconds),
        )
    if json:
        output.print_json({**result.to_dict(), "best": result.best})
        return
    columns = [
        "rank", "status", "feasible", "objective", "linear_f1", "encoding_size", "latency_ms", "samples", "probe_share",
    ]  # fmt: skip
    rows = result.table[columns + result.plan["searched"]]
    output.print_table(tuple(rows.columns), rows.itertuples(index=False, name=None), title=f"{result.path}")
    output.note(f"Next: heist-encoders promote {out}")


def sweep_listener(progress: Any, seconds: float | None) -> Any:
    """A listener for ``sweep(progress=)`` that tells a Reporter how far the sweep is."""
    import time

    from heist_encoders.tuning.options import INFEASIBLE

    began = time.monotonic()

    def listen(event: Any) -> None:
        if event.kind == "plan":
            progress.say(event.message)
            return
        best = f", best {event.best:.3f}" if event.best is not None and event.best > -INFEASIBLE else ""
        done = event.finished / max(1, event.total)
        if seconds is not None:
            done = max(done, min(0.99, (time.monotonic() - began) / seconds))
        progress.count(done, 1.0, f"{event.finished} of {event.total} trials done{best}")

    return listen
