"""``heist-encoders doctor``: what works on this machine, in plain words, and what to do about what doesn't."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, examples

EPILOG = examples("heist-encoders doctor", "heist-encoders doctor --json")

_MARKS = {"ok": "ok  ", "note": "note", "problem": "FAIL"}


def doctor(
    json: JsonFlag = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which a check that hangs counts as failed.")
    ] = 120.0,
) -> None:
    """Say what works on this machine and what to do about what doesn't.

    Exit status 0 if the essentials work (Python, procgen, torch, Ray, numpy with pyarrow, disk and memory), else 1.
    GPU, OpenVINO and video are good to have: without them all still works.
    """
    from heist_encoders.cli.checks import all_checks

    checks = []
    for check in all_checks(timeout):
        checks.append(check)
        if not json:
            print(f"{_MARKS[check.status]}  {check.name:<13} {check.summary}", flush=True)
            if check.remedy:
                print(f"{'':20}-> {check.remedy}", flush=True)
    failed = [check.name for check in checks if check.status == "problem"]
    if json:
        output.print_json(
            {
                "works": not failed,
                "problems": failed,
                "checks": [{**check._asdict(), "details": dict(check.details)} for check in checks],
            }
        )
    elif failed:
        print(f"\n{len(failed)} of the essentials do not work: {', '.join(failed)}. See the arrows above.")
    else:
        print("\nEverything needed works. Next: heist-encoders run")
    if failed:
        raise typer.Exit(1)
