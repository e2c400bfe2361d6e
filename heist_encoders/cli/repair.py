"""``heist-encoders repair``: generate exactly the damaged shards again."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples

EPILOG = examples("heist-encoders repair data/memory", "heist-encoders repair data/memory --json")


def repair(
    dataset: Annotated[str, typer.Argument(metavar="DIR", help="A dataset's folder or URI, as written by 'generate'.")],
    json: JsonFlag = False,
) -> None:
    """Generate missing, truncated and altered shards again, and only those. The dataset's hash stays what it was."""
    from heist_encoders.cli.progress import Reporter
    from heist_encoders.data.verify import repair as repair_dataset

    output.set_resume_hint("run the same command again: repaired shards are kept")
    with Reporter([f"repair {dataset}"]) as progress:
        progress.start(0)
        found, made = repair_dataset(dataset)
    if json:
        output.print_json({"path": dataset, "repaired": made, "hash": found.hash, "size": len(found)})
    else:
        print(f"{len(made)} shards made again" + (f": {', '.join(made)}" if made else ""))
        print(f"hash {found.hash}")
