"""Encoders: the same numbers whatever computes them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import autoencoder_names, to_input
from heist_encoders.errors import ConfigError, HeistEncodersError, MissingDependencyError, UnknownNameError
from heist_encoders.zoo import backends, load_encoder
from heist_encoders.zoo import encoder as module
from heist_encoders.zoo.artifact import Artifact
from tests.zoo.making import make_artifact, played_frames

INSTALLED = ["torch", *(["openvino"] if importlib.util.find_spec("openvino") else [])]


@pytest.mark.parametrize("family", autoencoder_names())
def test_backends_agree(family: str, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / family, family)
    frames = played_frames(9)
    with torch.inference_mode():
        expected = artifact.load_model().encode(to_input(frames)).numpy()
    scale = np.abs(expected).max()
    for backend in INSTALLED:
        encoder = load_encoder(artifact, backend=backend, device="cpu")
        encodings = encoder.encode(frames)
        assert encodings.dtype == np.float32
        assert encodings.shape == (9, *encoder.shape)
        np.testing.assert_allclose(encodings, expected, atol=2e-5 * scale, rtol=1e-4)
        ones = np.concatenate([encoder.encode(frame[None]) for frame in frames])
        np.testing.assert_allclose(ones, encodings, atol=1e-5 * scale, rtol=1e-4)
        np.testing.assert_array_equal(encoder.encode(frames), encodings)


@pytest.mark.parametrize("backend", INSTALLED)
def test_bfloat16_is_near(saved: Artifact, backend: str) -> None:
    frames = played_frames(4)
    exact = load_encoder(saved, backend=backend, device="cpu").encode(frames)
    near = load_encoder(saved, backend=backend, device="cpu", precision="bfloat16").encode(frames)
    assert near.dtype == np.float32
    assert np.abs(near - exact).max() <= 0.05 * np.abs(exact).max()


@pytest.mark.skipif("openvino" not in INSTALLED, reason="about OpenVINO's threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_pins_no_thread(saved: Artifact, threads: int) -> None:
    encoder = load_encoder(saved, device="cpu", backend="openvino", threads=threads)
    frames = played_frames(64)
    seen: set[frozenset[int]] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for thread in os.listdir("/proc/self/task"):
                with contextlib.suppress(OSError):  # it has ended
                    seen.add(frozenset(os.sched_getaffinity(int(thread))))

    encoder.encode(frames)  # compiles the graph, with short-lived threads of its own
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(40):
        encoder.encode(frames)
    done.set()
    watcher.join()
    # Pinned threads of several env runners would all stand on the same core.
    assert seen == {frozenset(os.sched_getaffinity(0))}


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="needs both backends")
def test_auto_takes_openvino_on_a_cpu_that_has_it(saved: Artifact) -> None:
    assert load_encoder(saved, device="cpu").backend == "openvino"
    assert backends.resolve_backend("auto", "cuda") == "torch"
    assert load_encoder(saved, backend="openvino").device == "cpu"


def test_no_frames_give_no_encodings(saved: Artifact) -> None:
    encoder = load_encoder(saved, device="cpu")
    assert encoder.encode(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, 32)


def test_frames_in_any_memory_layout(saved: Artifact) -> None:
    frames = played_frames(8)
    for backend in ("torch", "auto"):
        encoder = load_encoder(saved, backend=backend, device="cpu")
        readonly = frames.copy()
        readonly.flags.writeable = False
        expected = encoder.encode(frames)
        np.testing.assert_array_equal(encoder.encode(readonly), expected)
        np.testing.assert_array_equal(encoder.encode(frames[::2]), encoder.encode(frames[::2].copy()))


def test_encodings_are_the_callers_own(saved: Artifact) -> None:
    for backend in ("torch", "auto"):
        encoder = load_encoder(saved, backend=backend, device="cpu")
        first = encoder.encode(played_frames(2, seed=1))
        kept = first.copy()
        encoder.encode(played_frames(2, seed=2))
        np.testing.assert_array_equal(first, kept)


def test_reconstruction_is_the_models(saved: Artifact) -> None:
    frames = played_frames(3)
    drawn = load_encoder(saved, device="cpu").reconstruct(frames)
    assert drawn.dtype == np.uint8
    assert drawn.shape == frames.shape
    with torch.inference_mode():
        expected = saved.load_model()(to_input(frames)).reconstruction * 255
    assert np.abs(drawn - expected.permute(0, 2, 3, 1).numpy()).max() <= 0.51


def test_normalised_encodings(saved: Artifact) -> None:
    encoder = load_encoder(saved, device="cpu")
    encodings = encoder.encode(played_frames(40))
    normalized = encoder.normalize(encodings)
    varies = encodings.std(0) > 1e-4
    np.testing.assert_allclose(normalized.mean(0)[varies], 0, atol=1e-2)
    np.testing.assert_allclose(normalized.std(0)[varies], 1, atol=1e-2)
    assert np.isfinite(normalized).all()


def test_a_pickle_holds_only_a_reference(saved: Artifact) -> None:
    encoder = load_encoder(saved, device="cpu")
    frames = played_frames(2)
    data = pickle.dumps(encoder)
    assert len(data) < 1_000
    np.testing.assert_array_equal(pickle.loads(data).encode(frames), encoder.encode(frames))
    assert load_encoder(encoder.reference, device="cpu").artifact == saved


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 3, 64, 64), np.uint8),
        np.zeros((1, 64, 64, 3), np.float32),
        [[1]],
    ],
)
def test_other_arrays_are_refused(saved: Artifact, frames: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="expected a uint8 array"):
        load_encoder(saved, device="cpu").encode(frames)


def test_bad_options(saved: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="openvino"):
        load_encoder(saved, backend="openvin")
    with pytest.raises(UnknownNameError, match="float32"):
        load_encoder(saved, precision="float16")
    with pytest.raises(ConfigError, match="threads = 0"):
        load_encoder(saved, threads=0)
    with pytest.raises(UnknownNameError, match="unknown option 'backen'; did you mean 'backend'"):
        load_encoder(saved, backen="torch")
    for device in ("gpu", "cuda:99", "meta!"):
        with pytest.raises(HeistEncodersError, match="device") as error:
            load_encoder(saved, device=device)
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="CPU only"):
        backends.resolve_backend("openvino", "cuda")
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        load_encoder(saved, device="cpu", backend="openvino")
    assert load_encoder(saved, device="cpu").backend == "torch"  # there is no other


@pytest.mark.parametrize("backend", INSTALLED)
def test_threads_may_share_an_encoder(saved: Artifact, backend: str) -> None:
    encoder = load_encoder(saved, backend=backend, device="cpu")
    frames = [played_frames(16, seed=seed) for seed in range(4)]
    expected = [encoder.encode(part) for part in frames]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for found, right in zip(pool.map(encoder.encode, frames), expected, strict=True):
                np.testing.assert_array_equal(found, right)


def test_a_pickle_leaves_open_what_was_left_to_the_machine(saved: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = played_frames(2)
    encoder = load_encoder(saved)
    expected, data = encoder.encode(frames), pickle.dumps(encoder)
    fixed = pickle.dumps(load_encoder(saved, backend="torch", threads=1, device="cpu"))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "openvino" else found(name, *more)
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    elsewhere = pickle.loads(data)
    assert (elsewhere.backend, elsewhere.device) == ("torch", "cpu")
    np.testing.assert_allclose(elsewhere.encode(frames), expected, rtol=1e-3, atol=1e-4)
    assert pickle.dumps(elsewhere) == data
    assert (pickle.loads(fixed).backend, pickle.loads(fixed).threads) == ("torch", 1)


@pytest.mark.parametrize("backend", INSTALLED)
def test_memory_is_bounded_whatever_the_number_of_frames(
    saved: Artifact, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(saved, backend=backend, device="cpu")
    frames = played_frames(7)
    encodings, pictures = encoder.encode(frames), encoder.reconstruct(frames)
    sizes: list[int] = []
    inner = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda part: (sizes.append(len(part)), inner(part))[1])
    monkeypatch.setattr(module, "BATCH", 3)
    np.testing.assert_allclose(encoder.encode(frames), encodings, rtol=1e-4, atol=1e-5)
    assert sizes == [3, 3, 1]
    assert np.abs(encoder.reconstruct(frames).astype(int) - pictures).max() <= 1


@pytest.mark.gpu
def test_a_gpu_gives_the_encodings_of_the_cpu(saved: Artifact) -> None:
    frames = played_frames(64)
    on_gpu = load_encoder(saved.path, device="cuda", precision="float32").encode(frames)
    np.testing.assert_allclose(on_gpu, load_encoder(saved.path, device="cpu").encode(frames), rtol=1e-2, atol=1e-3)
