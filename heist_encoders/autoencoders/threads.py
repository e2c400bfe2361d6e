"""Torch's threads and processes that are forked.

A forked process has none of the threads of its parent. Torch's OpenMP counts on them once they were started, and waits
for them forever. So nothing here starts them without need, and a forked process computes in its one thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes in the calling thread alone, for as long as the block lasts; then as before."""
    with _lock:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # a thread that is not here may have held it
    torch.set_num_threads(1)


os.register_at_fork(after_in_child=_after_fork)
