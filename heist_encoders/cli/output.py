"""What the commands print: results on stdout, everything else (progress, hints, errors) on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from heist_encoders.errors import HeistEncodersWarning
from heist_encoders.json_text import plain

_GAP = 2
"""Characters between two columns of a table."""
_resume_hint = "run the same command again"


def error_line(message: object) -> None:
    """Print ``error: ...`` on stderr as one line, whatever line breaks the message has."""
    print("error: " + " ".join(str(message).split()), file=sys.stderr, flush=True)


def note(message: str) -> None:
    """Print a line for a human on stderr."""
    print(message, file=sys.stderr, flush=True)


def set_resume_hint(hint: str) -> None:
    """What ``main`` says after Ctrl-C: how to go on, as the end of the sentence ``interrupted; ...``."""
    global _resume_hint
    _resume_hint = hint


def resume_hint() -> str:
    """The hint that the running command set, or a general one."""
    return _resume_hint


def print_json(data: object) -> None:
    """Print ONE JSON object on stdout: numpy values become plain ones, paths strings, NaN and infinity null."""
    print(json.dumps(plain(data), indent=2, allow_nan=False), flush=True)


def cell(value: object) -> str:
    """One cell of a table: floats with three significant decimals, None as a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, file: TextIO | None = None
) -> None:
    """Print a table by rich. On a terminal too narrow for it, the columns go on below, the first one repeated."""
    from rich.console import Console
    from rich.table import Table

    stream = file or sys.stdout
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(columns, *texts, strict=True)]
    console = Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else sum(widths) + 99)
    for number, part in enumerate(_parts(widths, console.width)):
        if number:
            print(file=stream)
        table = Table(
            title=None if number else title, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for index in part:
            numeric = all(row[index][:1].isdigit() or row[index][:1] == "-" for row in texts)
            table.add_column(columns[index], justify="right" if numeric and texts else "left", overflow="fold")
        for row in texts:
            table.add_row(*(row[index] for index in part))
        console.print(table)


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand side by side: as many as fit into ``room`` characters, the first in every part."""
    parts: list[list[int]] = [[0]] if widths else []
    used = widths[0] if widths else 0
    for index, width in enumerate(widths[1:], start=1):
        if used + _GAP + width > room and len(parts[-1]) > 1:
            parts.append([0])
            used = widths[0]
        parts[-1].append(index)
        used += _GAP + width
    return parts


def _as_line(message: object, *_: object) -> str:
    return f"warning: {' '.join(str(message).split())}\n"


def quiet_libraries() -> None:
    """Silence what Ray and other libraries print by themselves. Called before any of them is imported."""
    for name, value in {
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS": "1",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
    }.items():
        os.environ.setdefault(name, value)
    import logging
    import warnings

    # Ray sets the levels of "ray" and "ray.rllib" itself when it is imported, but not those below.
    for name in ("ray.rllib.algorithms.algorithm_config", "ray._common.deprecation", "ray.rllib.core.rl_module"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", HeistEncodersWarning)
        warnings.formatwarning = _as_line  # type: ignore[assignment]
