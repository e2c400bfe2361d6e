"""Processes that are forked from one that has loaded torch: an encoder works there, and nothing waits for ever."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

BACKENDS = ["torch", *(["openvino"] if importlib.util.find_spec("openvino") else [])]

ASYNC = """
import gymnasium, numpy, torch
torch.set_num_threads(2)  # one would start no OpenMP
if {encodes}:
    import heist_encoders
    heist_encoders.load_encoder("vae-alex", device="cpu", backend={backend!r}).encode(
        numpy.zeros((300, 64, 64, 3), numpy.uint8)
    )
envs = gymnasium.make_vec(
    "heist_encoders:vae-alex-v0", num_envs=2, vectorization_mode="async", backend={backend!r},
    vector_kwargs={{"context": "fork"}},
)
observations, _ = envs.reset(seed=1)
assert observations.shape == (2, 256) and observations.std() > 0
envs.step(envs.action_space.sample())
envs.close()
print("done")
"""

POOL = """
import multiprocessing, numpy, torch
import heist_encoders
torch.set_num_threads(2)
encoder = heist_encoders.load_encoder("vae-alex", device="cpu", backend={backend!r})
if {encodes}:
    encoder.encode(numpy.zeros((300, 64, 64, 3), numpy.uint8))
def encode(seed):
    return encoder.encode(numpy.full((4, 64, 64, 3), seed, numpy.uint8)).shape, torch.get_num_threads()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(encode, range(4)) == [((4, 256), 1)] * 4
assert torch.get_num_threads() == 2
print("done")
"""


@pytest.mark.parametrize("encodes", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("script", [ASYNC, POOL], ids=["async", "pool"])
def test_an_encoder_works_in_forked_processes(script: str, backend: str, encodes: bool) -> None:
    code = script.format(backend=backend, encodes=encodes)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "done\n", done.stderr[-2000:]
