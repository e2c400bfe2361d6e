"""How much faster than plain torch does an Encoder encode, with each backend and precision?

Shows: milliseconds a frame of every packaged encoder, on one thread, in batches of 64 and of 1, and how many times
          faster than plain torch that is (in brackets). Plain torch: the model in eval mode under `inference_mode`,
          float32, frames widened by `to_input`, NCHW. All ways take turns, so that they meet the same machine; medians
          over the rounds, a round of 4 calls with 64 frames or 64 calls with one.
          MFLOP: floating-point operations of one encoding; with the rate of a large float32 matrix product, which is
          printed first, they say how near a float32 way is to what the core can do at all.
          `differs`: root mean square difference to plain torch's encodings, in their standard deviations.
          `--compile` adds torch.compile (Inductor, with freezing) and the seconds that it compiles.
Run:   python experiments/benchmark_encoding.py --compile    (about 6 minutes; 3 without --compile)
"""

# What came out (2 cores of an Intel Xeon with AMX, load average 1.5, Python 3.11.7, 23 Nov 2026; float32 matrix product
# 187 GFLOP/s; f32, bf16: float32 and bfloat16; `auto` took OpenVINO for all and was level with it;
# conv_maxpool's rows are of a run of their own, after it was trained anew): batch 64 stands in docs/rllib.md;
#
# batch 1, one thread, 25 rounds
#
# | ms a frame         | MFLOP | plain torch | torch f32   | OpenVINO f32 | torch bf16  | OpenVINO bf16 | differs |
# | ------------------ | ----- | ----------- | ----------- | ------------ | ----------- | ------------- | ------- |
# | compact            | 12.9  | 0.536       | 0.507 (1.1) | 0.185 (2.9)  | 0.566 (0.9) | 0.125 (4.3)   | 0.008   |
# | conv_maxpool       | 12.8  | 1.029       | 0.746 (1.4) | 0.409 (2.5)  | 0.766 (1.3) | 0.224 (4.6)   | 0.006   |
# | conv_maxpool_big   | 28.6  | 1.002       | 0.935 (1.1) | 0.813 (1.2)  | 1.604 (0.6) | 0.473 (2.1)   | 0.014   |
# | conv_no_bottleneck | 23.6  | 1.265       | 1.111 (1.1) | 0.391 (3.2)  | 0.834 (1.5) | 0.207 (6.1)   | 0.013   |
# | conv_unpool        | 36.7  | 1.392       | 1.101 (1.3) | 0.352 (4.0)  | 0.772 (1.8) | 0.170 (8.2)   | 0.020   |
# | vae_alex           | 29.6  | 1.207       | 1.091 (1.1) | 0.461 (2.6)  | 1.232 (1.0) | 0.249 (4.9)   | 0.008   |
# | vae_paper          | 29.7  | 1.247       | 1.100 (1.1) | 0.477 (2.6)  | 1.283 (1.0) | 0.262 (4.8)   | 0.009   |

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from processes import machine, table

BAR = 2.5
PLAIN = "plain torch float32"
Way = Callable[[np.ndarray], np.ndarray]


def played_frames(num: int) -> np.ndarray:
    """uint8 (num, 64, 64, 3): memory mode, after some random moves."""
    from heist_encoders.engine import Engine

    with Engine(num) as engine:
        engine.load_levels(list(range(num)))
        for actions in np.random.default_rng(0).integers(0, 9, (20, num)):
            engine.act(actions)
        return engine.frames.copy()


def plain(model: Any) -> Way:
    import torch

    from heist_encoders.autoencoders import to_input

    def encode(frames: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.encode(to_input(frames, channels_last=False)).numpy()

    return encode


def compiled(model: Any, bfloat16: bool) -> Way:
    import torch

    class Encode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.to(memory_format=torch.channels_last)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            moved = frames.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last)
            return self.model.encode(moved * (1 / 255))

    graph = torch.compile(Encode().eval(), options={"freezing": True})

    def encode(frames: np.ndarray) -> np.ndarray:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return graph(torch.from_numpy(frames)).float().numpy()

    return encode


def ways_of(artifact: Any, batch: int, with_compile: bool) -> tuple[dict[str, Way], dict[str, str]]:
    """Name -> way to encode, and what to add to a name: the backend that auto chose, seconds of compiling."""
    import torch

    from heist_encoders import load_encoder

    ways: dict[str, Way] = {PLAIN: plain(artifact.load_model())}
    notes: dict[str, str] = {}
    for precision in ("float32", "bfloat16"):
        for backend in ("torch", "openvino", "auto"):
            encoder = load_encoder(artifact, device="cpu", backend=backend, precision=precision, threads=1)
            ways[f"{backend} {precision}"] = encoder.encode
            if backend == "auto":
                notes[f"{backend} {precision}"] = encoder.backend
        if with_compile:
            torch._dynamo.reset()  # else it gives up after a few architectures
            name = f"torch.compile {precision}"
            ways[name] = compiled(artifact.load_model(), precision == "bfloat16")
            start = time.perf_counter()
            ways[name](played_frames(batch))
            notes[name] = f"{time.perf_counter() - start:.0f} s"
    return ways, notes


def megaflops(artifact: Any) -> float:
    """Floating-point operations of one encoding, in millions."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = artifact.load_model()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encode(torch.zeros(1, 3, 64, 64))
    return counter.get_total_flops() / 1e6


def matrix_product() -> float:
    """GFLOP/s of the best of 50 float32 products of 1,024 x 1,024 matrices."""
    import torch

    left, right = torch.rand(2, 1024, 1024).unbind()
    best = float("inf")
    for _ in range(50):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best / 1e9


def measure(ways: dict[str, Way], frames: np.ndarray, rounds: int) -> dict[str, float]:
    """Milliseconds a frame, median over rounds."""
    calls = 4 if len(frames) > 1 else 64
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for done in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(calls):
                way(frames)
            if done:  # the first round warms up
                spent[name].append((time.perf_counter() - start) / calls / len(frames))
    return {name: 1e3 * float(np.median(values)) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 1])
    parser.add_argument("--architectures", "--families", nargs="+", help="default: all packaged ones")
    parser.add_argument("--compile", action="store_true", help="torch.compile too; needs a C++ compiler")
    options = parser.parse_args()
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # to see how long compiling takes
    import torch

    from heist_encoders import load_encoder
    from heist_encoders.zoo.lookup import packaged_modes
    from heist_encoders.zoo.names import architectures

    torch.set_num_threads(1)
    names = options.architectures or [name for name in architectures() if "memory" in packaged_modes(name)]
    print(f"{machine()}; float32 matrix product {matrix_product():.0f} GFLOP/s")
    for batch in options.batches:
        frames = played_frames(batch)
        rows: list[list[str]] = []
        head: list[str] = []
        for name in names:
            artifact = load_encoder(name, device="cpu", backend="torch").artifact
            ways, notes = ways_of(artifact, batch, options.compile)
            found = measure(ways, frames, options.rounds)
            many = played_frames(64)
            expected, near = ways[PLAIN](many), ways["auto bfloat16"](many)
            differs = float(np.sqrt(np.mean(((near - expected) / artifact.std) ** 2)))
            cells = [f"{found[PLAIN]:.3f}"]
            best = {"float32": 0.0, "bfloat16": 0.0}
            for way, value in list(found.items())[1:]:
                ratio = found[PLAIN] / value
                if way.startswith("auto"):
                    best[way.split()[1]] = ratio
                cells.append(f"{value:.3f} ({ratio:.1f}){' ' + notes[way] if way in notes else ''}")
            met = [precision for precision, ratio in best.items() if ratio >= BAR]
            rows.append([name, f"{megaflops(artifact):.1f}", *cells, f"{differs:.3f}", " and ".join(met) or "none"])
            head = ["ms a frame", "MFLOP", PLAIN, *list(found)[1:], "differs", f"auto at least {BAR} times faster"]
            print(name, batch, found, flush=True)
        print(f"\nbatch {batch}, one thread, {options.rounds} rounds\n\n{table(head, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
