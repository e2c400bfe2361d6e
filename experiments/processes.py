"""What the scripts of this folder share: looking at a command's processes, and telling the machine they ran on."""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path

import torch
from typing_extensions import Self


class Watch:
    """Looks at something again and again, in a thread, while a ``with`` block runs.

    Args:
        every: seconds between two looks.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self) -> None:
        """What is done each time."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.look()


def parents() -> dict[int, int]:
    """Process -> its parent, of all processes."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(root: int) -> list[int]:
    """A process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def title(pid: int) -> str:
    """A process's command line; Ray's workers write there what they do."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def memory(pids: list[int]) -> dict[str, float]:
    """MB of several processes together: ``Rss``, ``Pss`` (pages that are shared count once), ``Anonymous``."""
    total = dict.fromkeys(("Rss", "Pss", "Anonymous"), 0.0)
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name in total:
                total[name] += int(value.split()[0]) / 1000
    return total


def machine() -> str:
    """One line: GPU, processor, cores, how busy it is with other things, Python, date."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    if torch.cuda.is_available():
        model = f"{torch.cuda.get_device_name()}, {model}"
    load = os.getloadavg()[0]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} CPUs, load average {load:.1f}, Python {platform.python_version()}, "
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with columns of even width."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
