"""How frames are encoded: with torch, or on CPUs with OpenVINO."""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
import warnings
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import FRAME_SHAPE
from heist_encoders.errors import ConfigError, MissingDependencyError
from heist_encoders.json_text import JsonObject

if TYPE_CHECKING:
    import openvino
    import torch

    from heist_encoders.autoencoders.base import BaseAutoencoder
    from heist_encoders.zoo.artifact import Artifact


class Backend(Protocol):
    """Encodes checked, non-empty batches: uint8 (N, 64, 64, 3) -> float32 (N, *shape), a fresh array."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a batch."""


def resolve_backend(backend: str, device: str) -> str:
    """``auto`` becomes ``openvino`` on a CPU where it is installed, else ``torch``; others are checked.

    OpenVINO was the faster one of the two for every packaged encoder on the CPUs measured
    (``experiments/benchmark_encoding.py``).

    Raises:
        ConfigError: for OpenVINO on another device than the CPU.
        MissingDependencyError: if OpenVINO is asked for and not installed.
    """
    installed = importlib.util.find_spec("openvino") is not None
    if backend == "auto":
        return "openvino" if installed and device == "cpu" else "torch"
    if backend == "openvino":
        if device != "cpu":
            raise ConfigError(f"backend 'openvino' runs on the CPU only, not on {device!r}; use backend='torch'")
        if not installed:
            raise MissingDependencyError(
                "backend 'openvino' needs the package openvino; pip install 'heist-encoders[openvino]' or use "
                "backend='torch'"
            )
    return backend


def default_threads() -> int:
    """Threads to encode with: ``OMP_NUM_THREADS`` if set, else as many as torch uses in this process."""
    import torch

    import heist_encoders.autoencoders.threads  # noqa: F401 - one thread in processes that are forked

    given = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(given), torch.get_num_threads()) if given.isdigit() and int(given) else torch.get_num_threads()


class TorchBackend:
    """The model itself, in eval and inference mode, channels last.

    Until the first call nothing is computed, so that an encoder may be loaded before a fork and used after it.
    """

    def __init__(self, model: BaseAutoencoder, device: str, precision: str) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._model = model.to(self._device)
        self._channels_last, self._lock = False, threading.Lock()
        self._bfloat16 = precision == "bfloat16"

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Backend``."""
        torch = self._torch
        if not self._channels_last:
            self._prepare()
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            encodings: NDArray[np.float32] = self._model.encode(self._input(frames)).float().cpu().numpy()
        return encodings

    def _prepare(self) -> None:
        with self._lock:
            if not self._channels_last:
                self._model.to(memory_format=self._torch.channels_last)  # type: ignore[call-overload]
                self._channels_last = True

    def _input(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        from heist_encoders.autoencoders.frames import to_input

        if self._device.type != "cuda":
            return to_input(frames, self._device)
        pinned = self._torch.from_numpy(np.require(frames, requirements=["C", "W"])).pin_memory()
        return to_input(pinned, self._device)


class OpenVinoBackend:
    """The encoding half as an OpenVINO graph that takes uint8 frames.

    Each thread that calls has an infer request of its own: one that computes refuses another caller. The graph is
    compiled at the first call of each process, so that an encoder may be loaded before a fork and used after it.
    """

    def __init__(self, artifact: Artifact, precision: str, threads: int) -> None:
        self._options = (artifact, precision, threads)
        self._own = threading.local()

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Backend``."""
        if getattr(self._own, "process", None) != os.getpid():
            self._own.process, self._own.request = os.getpid(), _compiled(*self._options).create_infer_request()
        request = self._own.request
        request.infer([np.ascontiguousarray(frames)], share_inputs=True)
        encodings: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        return encodings


class _ByHash:
    """An artifact as a key of a cache: two with the same weights are the same."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact

    def __hash__(self) -> int:
        return hash(self.artifact.sha256)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _ByHash):
            return NotImplemented
        mine, theirs = self.artifact, other.artifact
        return (mine.sha256, mine.architecture) == (theirs.sha256, theirs.architecture)


def _compiled(artifact: Artifact, precision: str, threads: int) -> openvino.CompiledModel:
    """The compiled graph; kept in this process, so that many encoders of one artifact share it."""
    with _compiling:
        return _compile(_ByHash(artifact), precision, threads, os.getpid())


_compiling = threading.Lock()
"""Threads that need one graph wait for whoever compiles it."""


@functools.lru_cache(maxsize=16)
def _compile(key: _ByHash, precision: str, threads: int, process: int) -> openvino.CompiledModel:
    import openvino

    options: JsonObject = {"INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16"}
    # By default OpenVINO pins the thread that calls to a core while it computes, to core 0 in every process: env
    # runners on one machine would take turns on it. Without a stream the calling thread computes, wherever it runs.
    if threads == 1:
        options |= {"NUM_STREAMS": 0}
    else:
        options |= {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return openvino.Core().compile_model(_converted(key), "CPU", options)


@functools.lru_cache(maxsize=16)
def _converted(key: _ByHash) -> openvino.Model:
    import openvino
    import torch

    from heist_encoders.autoencoders.frames import to_input

    class EncodeOnly(torch.nn.Module):
        """uint8 (N, 64, 64, 3) -> encodings, so that no decoder and no pooling indices get into the graph."""

        def __init__(self) -> None:
            super().__init__()
            self.model = key.artifact.load_model()

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return self.model.encode(to_input(frames))

    example = torch.zeros(2, *FRAME_SHAPE, dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        # The checks of to_input on the shape hold for every batch: that they are traced as constants is right.
        warnings.simplefilter("ignore")
        graph = openvino.convert_model(
            EncodeOnly().eval(), example_input=example, input=[([-1, *FRAME_SHAPE], openvino.Type.u8)]
        )
    return graph
