"""``heist-encoders promote``: give a sweep's best trial, or any artifact, a name in the zoo."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples, given_place

EPILOG = examples(
    "heist-encoders promote runs/vae_paper",
    "heist-encoders promote runs/vae_paper --name vae_paper-wide",
    "heist-encoders promote runs/one/artifact --name my-vae",
)


def promote(
    source: Annotated[
        str,
        typer.Argument(parser=given_place, metavar="DIR", help="A sweep's folder, or an artifact's folder or URI."),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the zoo. Default: <architecture>-<folder> for a sweep."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an artifact of yours that has this name.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Promote an encoder: from the next start of Python on it has a gymnasium id, an RLlib name and a preprocessor."""
    from heist_encoders.pipeline.winner import promote_any

    artifact = promote_any(source, name, overwrite=overwrite)
    if json:
        output.print_json(
            {
                "name": artifact.name,
                "path": artifact.path,
                "sha256": artifact.sha256,
                "architecture": artifact.architecture,
                "family": artifact.architecture,  # its old name, until the next version
            }
        )
    else:
        print(f"{artifact.name} in {artifact.path}")
        options = f"--encoder {artifact.name} --mode {artifact.distribution_mode} --out runs/ppo"
        output.note(f"Next: heist-encoders ppo train {options}")
