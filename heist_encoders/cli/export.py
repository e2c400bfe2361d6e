"""``heist-encoders export``: a dataset as plain ``.npy`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, check_folder, examples, given_path

EPILOG = examples("heist-encoders export data/memory --npy exported")


def export(
    dataset: Annotated[str, typer.Argument(metavar="DIR", help="A dataset's folder or URI, as written by 'generate'.")],
    npy: Annotated[
        Path,
        typer.Option(
            "--npy", parser=given_path, metavar="OUT", help="Folder for training.npy and test.npy, made if need be."
        ),
    ],
    json: JsonFlag = False,
) -> None:
    """Write training.npy and test.npy: frames as uint8 (N, 64, 64, 3), RGB, the layout of the original project."""
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.pipeline.npy import export_npy

    check_folder(npy, "--npy")
    files = export_npy(open_dataset(dataset), npy)
    if json:
        output.print_json({"files": [{"path": path, "shape": shape} for path, shape in files]})
    else:
        for path, shape in files:
            print(f"{path}: uint8 {shape}")
