"""``heist-encoders verify``: is a dataset whole, bit for bit?"""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples
from heist_encoders.errors import DatasetError

EPILOG = examples("heist-encoders verify data/memory", "heist-encoders verify data/memory --json")


def verify(
    dataset: Annotated[str, typer.Argument(metavar="DIR", help="A dataset's folder or URI, as written by 'generate'.")],
    json: JsonFlag = False,
) -> None:
    """Compare every shard of a dataset with its manifest, and print the dataset's hash.

    Exit status 0 only if it is whole; otherwise 2, with the problems on stderr.
    """
    from heist_encoders.data.dataset import open_dataset
    from heist_encoders.data.verify import verify as find_problems

    problems = find_problems(dataset)
    if problems:
        if json:
            output.print_json({"path": dataset, "whole": False, "problems": problems})
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DatasetError(f"{dataset}: {problems[0]}{more}; repair it with: heist-encoders repair {dataset}")
    found = open_dataset(dataset)
    if json:
        output.print_json({"path": dataset, "whole": True, "problems": [], "hash": found.hash, "size": len(found)})
    else:
        print(found.hash)
        output.note(f"{dataset} is whole: {len(found):,} frames")
