"""Chunks of a stream, drawn ahead by processes of their own.

Run as a module it is such a process: it reads the spec from its arguments and writes chunk after chunk to stdout, until
nobody reads them any more. On the wire a chunk is a line of JSON (dtype and shape of each array) and the arrays' bytes,
the frames first; there is no pickle.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from heist_encoders.data.manifest import CHUNK_FRAMES, Chunk, DatasetSpec
from heist_encoders.data.sampler import Rows, draw_chunk
from heist_encoders.errors import HeistEncodersError, ResourceError
from heist_encoders.tasks.registry import task_of

MAPS = "semantic_map"
"""The column of the semantic maps, uint8 (N, 64, 64)."""
AFTER_DATASETS = 10**7
"""Number of the stream's first chunk: past those of any dataset (at most 10^9 frames), so that none is drawn twice."""
_FRAMES = "frames"
_AHEAD = 2
"""Finished chunks (12.4 MB each) that wait in memory for each process, besides the one that it draws."""


def stream_chunk(spec: DatasetSpec, number: int) -> Rows:
    """Chunk ``number`` of the stream of a spec: 1,008 rows from the training levels."""
    start = number * CHUNK_FRAMES
    return draw_chunk(spec, Chunk(AFTER_DATASETS + number, "train", number, start, CHUNK_FRAMES))


class ChunkProcesses:
    """Iterates over the chunks ``first``, ``first + 1``, ... of a stream; which process drew one makes no difference.

    A context manager: leaving it ends the processes.

    Args:
        spec: what to draw.
        first: number of the first chunk.
        workers: processes, each with the engine's pictures in memory (about 400 MB).
        with_maps: whether rows also have the column ``semantic_map``, uint8 (N, 64, 64).

    Raises:
        ResourceError: if a process ends before its time.
        HeistEncodersError: what a process has to say about the spec (procgen is missing, say).
    """

    def __init__(self, spec: DatasetSpec, first: int, workers: int = 1, *, with_maps: bool = False) -> None:
        options = [str(workers), *([MAPS] if with_maps else [])]
        self._drawers = [_Drawer([spec.canonical(), str(first + i), *options]) for i in range(workers)]
        self._turn = 0

    def __iter__(self) -> Iterator[Rows]:
        return self

    def __next__(self) -> Rows:
        rows = self._drawers[self._turn % len(self._drawers)].take()
        self._turn += 1
        return rows

    def __enter__(self) -> ChunkProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for drawer in self._drawers:
            drawer.close()


class _Drawer:
    """One process, and the thread that reads from it. ``arguments`` are those of ``main``."""

    def __init__(self, arguments: list[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "heist_encoders.data.drawing", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._ready: queue.Queue[Rows | HeistEncodersError] = queue.Queue(_AHEAD)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        found: Rows | HeistEncodersError
        while not self._closing.is_set():
            try:
                found = _receive(pipe)
            except HeistEncodersError as error:
                found = error
            except (EOFError, OSError, ValueError):
                found = ResourceError(self._last_words())
            while not self._closing.is_set():
                with contextlib.suppress(queue.Full):
                    self._ready.put(found, timeout=0.2)
                    break
            if isinstance(found, HeistEncodersError):
                return

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        return f"the process that draws the stream's frames ended with status {status}{said}; start again to go on"

    def take(self) -> Rows:
        found = self._ready.get()
        if isinstance(found, HeistEncodersError):
            self._ready.put(found)
            raise found
        return found

    def close(self) -> None:
        self._closing.set()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


def _send(pipe: IO[bytes], rows: Rows) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in {_FRAMES: rows.frames, **rows.labels}.items()}
    head = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    pipe.write(json.dumps(head).encode() + b"\n")
    for array in arrays.values():
        pipe.write(array.data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Rows:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head: dict[str, Any] = json.loads(line)
    if "error" in head:
        raise HeistEncodersError(head["error"])
    arrays = {name: _array(pipe, kind, shape) for name, (kind, *shape) in head.items()}
    return Rows(arrays.pop(_FRAMES), arrays)


def _array(pipe: IO[bytes], kind: str, shape: list[int]) -> NDArray[Any]:
    array = np.empty(shape, np.dtype(kind))
    left = array.reshape(-1).view(np.uint8).data
    while left:
        got = pipe.readinto(left)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        left = left[got:]
    return array


def main(spec: str, first: str, stride: str, *extra: str) -> None:
    """What the process does: draw the chunks first, first + stride, ... and write them to stdout.

    Args:
        spec: as JSON.
        first, stride: numbers.
        extra: ``semantic_map`` adds that column.
    """
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not get between the bytes
    number = int(first)
    with contextlib.suppress(BrokenPipeError):
        try:
            parsed = DatasetSpec.from_dict(json.loads(spec))
            while True:
                rows = stream_chunk(parsed, number)
                if MAPS in extra:
                    maps = task_of(parsed.game).semantic_maps(rows.labels, parsed.distribution_mode)
                    rows = rows._replace(labels={**rows.labels, MAPS: maps.pick(slice(None))})
                _send(pipe, rows)
                number += int(stride)
        except HeistEncodersError as error:
            pipe.write(json.dumps({"error": str(error)}).encode() + b"\n")
            pipe.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
