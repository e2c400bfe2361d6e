"""``heist-encoders report``: one HTML page over all evaluated encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples, given_path

EPILOG = examples(
    "heist-encoders report runs/default/evaluation --out report.html",
    "heist-encoders report runs/a runs/b vae_paper --out compare.html",
    "heist-encoders report runs/vae_paper --out sweep.html",
)


def report(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Evaluations, artifacts, sweeps, or folders that hold some; names too."),
    ],
    out: Annotated[Path, typer.Option("--out", parser=given_path, metavar="FILE", help="The page to write.")] = Path(
        "report.html"
    ),
    json: JsonFlag = False,
) -> None:
    """Write one self-contained page: what each encoding lost, leaderboard, curves, pictures, sweeps."""
    from heist_encoders.pipeline.reporting import write

    path = write(sources, out)
    if json:
        output.print_json({"report": path})
    else:
        print(path)
