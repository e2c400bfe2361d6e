"""``heist-encoders generate``: balanced, exactly labelled frames from Ray workers."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import (
    Address,
    Game,
    JsonFlag,
    Seed,
    ShowConfig,
    Workers,
    check_balance,
    check_folder,
    check_mode,
    examples,
    needed,
)
from heist_encoders.constants import DEFAULT_GAME
from heist_encoders.json_text import JsonObject

EPILOG = examples(
    "heist-encoders generate --out data/memory --size 20000",
    "heist-encoders generate --out data/easy --size 200000 --mode easy --workers 8",
    "heist-encoders generate --size 50000 --mode easy --show-config > stream.yaml      (for train --stream)",
    "heist-encoders generate --out data/coinrun --game coinrun --size 10000",
)


def generate(
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the dataset goes: a folder or a URI. Needed, but for --show-config.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=1, help="How many frames, train and test together.")] = 20_000,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            callback=check_mode,
            help="Distribution mode: 'easy', 'hard' or 'memory'. Default: memory for Heist, hard for other games.",
        ),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=check_balance,
            help="'elements': equally many frames of each element (games with labelled elements); 'natural': frames "
            "of games that are played; 'basic': the original project's random walk. Default: elements, or natural for "
            "games without.",
        ),
    ] = None,
    seed: Seed = 0,
    game: Game = DEFAULT_GAME,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who plays with --balance natural: 'random', 'oracle' or 'mixed'. Default: mixed for Heist, random "
            "for other games.",
        ),
    ] = None,
    backgrounds: Annotated[
        bool, typer.Option("--backgrounds/--no-backgrounds", help="Draw Procgen's background pictures.")
    ] = False,
    frames_per_level: Annotated[
        int | None, typer.Option("--frames-per-level", min=1, help="Frames drawn from one level. Default: 16.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option("--test-fraction", min=0.0, max=0.9, help="Share of the test split. Default: 0.1.")
    ] = None,
    workers: Workers = None,
    address: Address = None,
    show_config: ShowConfig = False,
    json: JsonFlag = False,
) -> None:
    """Generate a dataset of frames, each with exact labels read from the game engine.

    The same options give the same bytes, whatever the number of workers. Killed half-way, run it again: it goes on.
    """
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.generate import generate as generate_dataset
    from heist_encoders.data.manifest import DatasetSpec
    from heist_encoders.data.shards import look
    from heist_encoders.data.storage import Storage
    from heist_encoders.tasks.registry import task_of

    task = task_of(game)
    values: JsonObject = {
        "game": game,
        "distribution_mode": mode or task.default_mode,
        "use_backgrounds": backgrounds,
        "size": size,
        "seed": seed,
        "balance": balance or task.strategies[0],
    }
    if frames_per_level is not None:
        values["frames_per_level"] = frames_per_level
    if test_fraction is not None:
        values["test_fraction"] = test_fraction
    if policy is not None:
        values["policy"] = policy
    spec = DatasetSpec.from_dict(values)
    if show_config:
        print(spec.to_yaml(), end="")
        return
    out = needed(out, "--out")
    if "://" not in out:
        check_folder(out)
    output.set_resume_hint("run the same command again: finished shards are kept")
    kept = sum(shard.rows for shard in look(spec, Storage(out)).shards.values())
    if kept:
        output.note(
            f"going on: {kept:,} of {size:,} frames are there" if kept < size else "all frames are there already"
        )
    with Reporter([f"generate {size:,} frames"]) as progress:
        progress.start(0)
        dataset = generate_dataset(spec, out, workers=workers, address=address, progress=progress.count)
    result = {"path": out, "hash": dataset.hash, "size": len(dataset), "spec": dataset.spec.to_dict()}
    if json:
        output.print_json(result)
    else:
        print(f"{len(dataset):,} frames in {out}\nhash {dataset.hash}")
        # The packaged search spaces need semantic maps; a training by default needs none.
        command, folder = ("tune", "vae_paper") if task.classes else ("train", game)
        output.note(f"Next: heist-encoders {command} vae_paper --data {out} --out runs/{folder}")
