"""``heist-encoders record``: the oracle's moves as offline data for RLlib, or its episodes as a Minari dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import Address, JsonFlag, Mode, Seed, Workers, check_folder, examples
from heist_encoders.errors import ConfigError, unknown_name

FORMATS = ("rllib", "minari")

EPILOG = examples(
    "heist-encoders record --encoder grid --mode easy --frames 60000 --out data/moves",
    "heist-encoders record --encoder grid --mode easy --episodes 2000 --out data/oracle --workers 8",
    "heist-encoders record --format minari --mode easy --episodes 1000 --out heist/oracle-easy-v0",
)


def record(
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Where it goes: a folder, or the id of a Minari dataset.")
    ],
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="Name or folder of the encoder whose encodings are recorded. Needed for RLlib; Minari gets frames.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames", min=1, help="Labelled frames of all situations to record, for BC. Default: none.",
            show_default=False,
        ),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            "--episodes", min=1, help="Or the oracle's episodes, for BC and MARWIL. Default: none.", show_default=False
        ),
    ] = None,
    mode: Mode = "easy",
    file_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="'rllib' (Parquet) or 'minari' (its extra is needed).")
    ] = "rllib",
    workers: Workers = None,
    address: Address = None,
    seed: Seed = 0,
    json: JsonFlag = False,
) -> None:  # fmt: skip
    """Record what the shortest-path oracle does: offline data for RLlib's BC and MARWIL, or a Minari dataset.

    For RLlib, Ray workers write Parquet with the columns of RLlib's own recordings, seen through a frozen encoder;
    'offline_config' in Python makes a BCConfig or MARWILConfig of it. Killed half-way, run it again: it goes on.

    What learns from this is of class D: its figures are no results of learning by reward.
    """
    if file_format not in FORMATS:
        raise unknown_name("--format", file_format, FORMATS)
    if file_format == "minari":
        _record_minari(out, encoder, frames, episodes, mode, seed, json)
        return
    if encoder is None:
        raise ConfigError("missing option '--encoder': RLlib learns from encodings; --format minari keeps frames")
    folder = check_folder(out)
    output.set_resume_hint("run the same command again: finished shards are kept")
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.rllib.offline import offline_about, record_oracle

    with Reporter(["record the oracle's moves"]) as progress:
        progress.start(0)
        record_oracle(
            encoder, folder, frames=frames, episodes=episodes, mode=mode, seed=seed, workers=workers, address=address,
            progress=lambda done, total: progress.count(done, total, f"{done} of {total} shards"),
        )  # fmt: skip
    about = offline_about(folder)
    if json:
        output.print_json({"out": folder, **about})
        return
    print(f"{about['rows']:,} moves of the oracle's ({about['number']:,} {about['kind']}) in {folder}")
    output.note(f"Next, in Python: heist_encoders.rllib.offline_config({str(folder)!r}).build_algo().train()")


def _record_minari(
    dataset_id: str, encoder: str | None, frames: int | None, episodes: int | None, mode: str, seed: int, json: bool
) -> None:
    if episodes is None or frames is not None or encoder is not None:
        raise ConfigError("--format minari keeps whole episodes of frames; give --episodes, not --frames or --encoder")
    output.set_resume_hint("nothing was written")
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.policies.minari import check_minari, record_minari

    check_minari(dataset_id)
    with Reporter([f"play {episodes:,} episodes"]) as progress:
        progress.start(0)
        dataset = record_minari(
            dataset_id, episodes=episodes, mode=mode, seed=seed,
            progress=lambda done, total: progress.count(done, total, f"{done:,} of {total:,} episodes"),
        )  # fmt: skip
    steps = int(dataset.total_steps)
    if json:
        output.print_json({"out": dataset_id, "episodes": episodes, "rows": steps, "distribution_mode": mode})
        return
    print(f"{episodes:,} episodes, {steps:,} steps: minari.load_dataset({dataset_id!r})")
