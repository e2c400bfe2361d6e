"""Options that several commands share, each with one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from heist_encoders.constants import BALANCES, DISTRIBUTION_MODES, GAMES
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.paths import is_uri, user_path


def given_path(text: str | Path) -> Path:
    """Parse a path: ``~`` is expanded, and an empty one refused, which ``Path`` takes for the working directory."""
    try:
        return user_path(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def given_place(text: str) -> str:
    """Parse a path as ``given_path`` does, and leave a URI as it is."""
    return text if is_uri(text) else str(given_path(text))


def examples(*lines: str) -> str:
    """The epilog of a command's help: one example a line."""
    return "\n\n".join(("Examples:", *lines))


_Name = TypeVar("_Name", str, str | None)
_Value = TypeVar("_Value")


def check_mode(mode: _Name) -> _Name:
    """Raise UnknownNameError unless ``mode`` is a distribution mode, or None: not given."""
    if mode is not None and mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution mode", mode, DISTRIBUTION_MODES)
    return mode


def check_game(game: str) -> str:
    """Raise UnknownNameError unless ``game`` is a Procgen game."""
    if game not in GAMES:
        raise unknown_name("game", game, GAMES)
    return game


def check_balance(balance: _Name) -> _Name:
    """Raise UnknownNameError unless ``balance`` names a sampling strategy, or None: not given."""
    if balance is not None and balance not in BALANCES:
        raise unknown_name("balance", balance, BALANCES)
    return balance


def check_folder(path: str | Path, option: str = "--out") -> Path:
    """Raise ConfigError if ``path`` can't be an output folder: empty, a file in the way, or not writable."""
    import os
    import tempfile

    path = existing = user_path(path)
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(f"{option} {path}: {existing} is a file, expected a folder; choose another {option}")
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".heist-", dir=existing))  # root may do anything, but not on every file system
    except OSError as error:
        raise ConfigError(f"{option} {path}: cannot write in {existing} ({error.strerror}); choose another") from None
    return path


def needed(value: _Value | None, option: str) -> _Value:
    """The value of an option that only ``--show-config`` can do without.

    Raises:
        ConfigError: if it was not given.
    """
    if value is None:
        raise ConfigError(f"missing option '{option}'; only --show-config does without")
    return value


def check_new_policy(path: Path) -> Path:
    """``check_folder``, and raise ConfigError if something lies there: policies are not replaced unasked."""
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"--out {path}: there are files in it, expected a new or empty folder; choose another --out")
    return check_folder(path)


def note_sample(given: bool) -> None:
    """Say that ``--sample``, which files of commands may still hold, changes nothing any more."""
    if given:
        from heist_encoders.cli import output

        output.note("--sample is what happens anyway now, and goes with the next version; the opposite is --greedy")


JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on stdout; progress goes to stderr.")
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="Distribution mode: 'memory' (big maze, 8x8 cells in view), 'easy' or 'hard' (the whole maze in view).",
        callback=check_mode,
    ),
]
OwnMode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="'memory', 'easy' or 'hard'. Default: the encoder's or policy's own.",
        callback=check_mode,
    ),
]
Game = Annotated[
    str, typer.Option("--game", metavar="NAME", help="Which of the 16 Procgen games.", callback=check_game)
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Same seed, same result.")]
Data = Annotated[
    str,
    typer.Option("--data", metavar="DIR", help="A dataset's folder or URI, as written by 'heist-encoders generate'."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=4096, help="Ray workers. Default: one per CPU. Never changes the result."),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDR", help="Ray cluster to join. Default: a local Ray for this command only."),
]
Greedy = Annotated[
    bool,
    typer.Option("--greedy", help="Take a policy's most probable actions. Default: sample, which solves more levels."),
]
Sample = Annotated[bool, typer.Option("--sample", hidden=True)]
ShowConfig = Annotated[
    bool,
    typer.Option("--show-config", help="Print all options as YAML, with nothing left open, and stop; writes nothing."),
]
