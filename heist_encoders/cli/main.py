"""The entry point ``heist-encoders``: the list of commands, and what becomes of errors and Ctrl-C."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import heist_encoders
from heist_encoders.cli import (
    bench,
    clone,
    doctor,
    evaluate,
    export,
    generate,
    interrupts,
    list,
    output,
    play,
    ppo,
    promote,
    push,
    record,
    repair,
    report,
    run,
    self_imitate,
    train,
    tune,
    verify,
)
from heist_encoders.errors import HeistEncodersError
from heist_encoders.files import is_full_disk

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

_USER_ERRNOS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
)  # fmt: skip

app = typer.Typer(
    name="heist-encoders",
    help="What did my autoencoder throw away? Balanced, exactly labelled frames of Procgen's Heist, sweeps of "
    "autoencoders on Ray Tune, and the best encoders as environments and preprocessors for RLlib.",
    epilog="Start with 'heist-encoders doctor' (what works here?) and 'heist-encoders run' (the whole chain, "
    "about 12 minutes). Errors are one line and exit status 2; Ctrl-C always leaves a state to go on from.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_CHAIN, _DATA, _ENCODERS, _MACHINE = "The whole chain", "Data", "Encoders", "Playing, learning, measuring"

app.command("run", epilog=run.EPILOG, rich_help_panel=_CHAIN)(run.run)
app.command("doctor", epilog=doctor.EPILOG, rich_help_panel=_CHAIN)(doctor.doctor)
app.command("generate", epilog=generate.EPILOG, rich_help_panel=_DATA)(generate.generate)
app.command("verify", epilog=verify.EPILOG, rich_help_panel=_DATA)(verify.verify)
app.command("repair", epilog=repair.EPILOG, rich_help_panel=_DATA)(repair.repair)
app.command("export", epilog=export.EPILOG, rich_help_panel=_DATA)(export.export)
app.command("train", epilog=train.EPILOG, rich_help_panel=_ENCODERS)(train.train)
app.command("tune", epilog=tune.EPILOG, rich_help_panel=_ENCODERS)(tune.tune)
app.command("evaluate", epilog=evaluate.EPILOG, rich_help_panel=_ENCODERS)(evaluate.evaluate)
app.command("report", epilog=report.EPILOG, rich_help_panel=_ENCODERS)(report.report)
app.command("promote", epilog=promote.EPILOG, rich_help_panel=_ENCODERS)(promote.promote)
app.command("push", epilog=push.EPILOG, rich_help_panel=_ENCODERS)(push.push)
app.command("list", epilog=list.EPILOG, rich_help_panel=_ENCODERS)(list.list_artifacts)
app.add_typer(ppo.app, name="ppo", rich_help_panel=_MACHINE)
app.command("clone", epilog=clone.EPILOG, rich_help_panel=_MACHINE)(clone.clone)
app.command("self-imitate", epilog=self_imitate.EPILOG, rich_help_panel=_MACHINE)(self_imitate.self_imitate)
app.command("record", epilog=record.EPILOG, rich_help_panel=_MACHINE)(record.record)
app.command("play", epilog=play.EPILOG, rich_help_panel=_MACHINE)(play.play)
app.command("bench", epilog=bench.EPILOG, rich_help_panel=_MACHINE)(bench.bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"heist-encoders {heist_encoders.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit status: 0 done; 1 a check said no (``doctor``); 2 an error of the user's, as one ``error: ...`` line on
    stderr; 130 interrupted, with one line that says how to go on.
    """
    output.quiet_libraries()
    interrupts.install()
    sys.exit(_status(arguments))


def _status(arguments: Sequence[str] | None) -> int:
    try:
        result = app(args=None if arguments is None else [*arguments], standalone_mode=False)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        return _failed(error)
    if result == EXIT_INTERRUPTED:  # typer turns KeyboardInterrupt into this status
        return _interrupted()
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up
    print(f"\ninterrupted; {output.resume_hint()}", file=sys.stderr, flush=True)
    return EXIT_INTERRUPTED


def _failed(error: Exception) -> int:
    known = user_error(error)
    if known is None:
        if type(error).__name__ == "Abort":
            return _interrupted()
        raise error
    output.error_line(known)
    return EXIT_USER_ERROR


def user_error(error: BaseException) -> str | None:
    """The one line for an error of the user's, looked for through Ray's and Python's wrappings; None for a bug."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        cause = getattr(current, "cause", None)  # of a RayTaskError, which may also be an instance of its cause's class
        if isinstance(cause, BaseException):
            current = cause
            continue
        if isinstance(current, HeistEncodersError):
            return str(current)
        if hasattr(current, "format_message"):  # click's and typer's usage errors
            context = getattr(current, "ctx", None)
            path = context.command_path if context is not None else "heist-encoders"
            return f"{current.format_message().rstrip('.')}; see '{path} --help'"
        if is_full_disk(current):  # of writes to a file that is open, which errors do not name
            return "no room left on the disk; make room where the command writes and run it again"
        if isinstance(current, OSError) and current.errno in _USER_ERRNOS and current.filename is not None:
            return f"{current.strerror}: {current.filename}; choose another path or change its permissions"
        current = current.__cause__
    return None


if __name__ == "__main__":
    main()
