"""Watches over a process that opens hostile files: what it starts and what it writes where."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FORBIDDEN = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.putenv", "os.chmod"),
    *("subprocess.Popen", "pty.spawn", "socket.connect", "socket.getaddrinfo", "pickle.find_class", "os.chown"),
)
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Escape(BaseException):
    """Something that no file may bring about."""


class Guard:
    """Raises Escape, while ``on``, where this process starts another, connects, unpickles or writes outside.

    Python's own calls are seen, not those of libraries in other languages. It can't be removed again.

    Args:
        inside: folders that may be written to.
    """

    def __init__(self, *inside: Path) -> None:
        self._inside = [os.path.realpath(folder) for folder in inside]
        self._on = False
        sys.addaudithook(self._look)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch what the block does."""
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in _FORBIDDEN:
            raise Escape(f"{event} {arguments!s:.200}")
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                self._check(event, os.path.realpath(os.fsdecode(path)))
        elif event in _CHANGES:
            for path in arguments:
                if isinstance(path, str | bytes):
                    folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
                    self._check(event, os.path.join(os.path.realpath(folder), name))

    def _check(self, event: str, path: str) -> None:
        if path != os.devnull and not any(
            path.startswith(folder + os.sep) or path == folder for folder in self._inside
        ):
            raise Escape(f"{event} {path}")


def limit_memory(more: int) -> None:
    """Let this process have ``more`` bytes of address space than it has now; a crash of it leaves no core file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def peak_memory() -> int:
    """Bytes that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
