"""Ctrl-C and SIGTERM that are not lost.

Python raises KeyboardInterrupt wherever the main thread is; in an import or a callback of a library the exception can
be swallowed there, and the command would run on. So the signal is remembered, and progress asks for it.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_came = False


def install() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, and be remembered; forgets earlier ones.

    A SIGINT that the parent process had ignored (a background job of a shell) stays ignored.
    """
    global _came
    _came = False
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if a signal came, but never in another thread than the main one."""
    if _came and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _came
    _came = True
    raise KeyboardInterrupt
