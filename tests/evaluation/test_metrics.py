"""Metrics against values worked out by hand or in plain numpy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.evaluation.encoding import encode_frames, reconstruct_frames, to_pictures
from heist_encoders.evaluation.metrics import psnr, reconstruction_metrics, ssim
from heist_encoders.evaluation.speed import cpu_cost, latency


def ssim_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """Equation 13 of Wang et al. 2004, one window after the other, float64."""
    distance = np.arange(11) - 5.0
    window = np.exp(-(distance[:, None] ** 2 + distance[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for channel in range(a.shape[0]):
        for y in range(a.shape[1] - 10):
            for x in range(a.shape[2] - 10):
                p = a[channel, y : y + 11, x : x + 11].astype(np.float64)
                q = b[channel, y : y + 11, x : x + 11].astype(np.float64)
                mean_p, mean_q = (window * p).sum(), (window * q).sum()
                var_p = (window * (p - mean_p) ** 2).sum()
                var_q = (window * (q - mean_q) ** 2).sum()
                covariance = (window * (p - mean_p) * (q - mean_q)).sum()
                top = (2 * mean_p * mean_q + c1) * (2 * covariance + c2)
                values.append(top / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2)))
    return float(np.mean(values))


def test_ssim() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((3, 16, 18)).astype(np.float32)
    b = (0.6 * a + 0.4 * rng.random(a.shape)).astype(np.float32)
    pair = torch.from_numpy(np.stack([a, a])), torch.from_numpy(np.stack([a, b]))
    found = ssim(*pair)
    assert found.shape == (2,)
    assert float(found[0]) == pytest.approx(1, abs=1e-6)
    assert float(found[1]) == pytest.approx(ssim_by_hand(a, b), abs=1e-5)
    assert 0.3 < float(found[1]) < 0.99
    # Two flat images: only the means matter, (2 m n + c1) / (m^2 + n^2 + c1).
    flat = ssim(torch.full((1, 1, 11, 11), 0.2), torch.full((1, 1, 11, 11), 0.6))
    assert float(flat) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), abs=1e-4)


def test_psnr() -> None:
    a = torch.zeros(2, 3, 4, 4)
    b = torch.stack([torch.full((3, 4, 4), 0.1), torch.zeros(3, 4, 4)])
    assert psnr(a, b).tolist() == pytest.approx([20, 100])


class Grey(torch.nn.Module):
    """Not an autoencoder of the registry: paints every frame in one grey; encodes its mean brightness."""

    name = "grey"

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.mean((1, 2, 3), keepdim=False)[:, None]

    def forward(self, frames: torch.Tensor) -> object:
        from heist_encoders.autoencoders import Output

        return Output(torch.full_like(frames, 0.5), self.encode(frames))


class DrawnMaps:
    """Semantic maps uint8 (N, 64, 64) that are there already."""

    classes = ("floor", "wall", "key", "exit", "door")

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def pick(self, rows: object) -> np.ndarray:
        return self.maps[rows]  # type: ignore[index,no-any-return]


def test_reconstruction_metrics_by_hand() -> None:
    frames = np.zeros((3, 64, 64, 3), np.uint8)
    frames[0, 10:14, 20:22] = 255  # a key: error 0.25 as everywhere
    frames[1] = 127
    maps = np.zeros((3, 64, 64), np.uint8)
    maps[0, 10:14, 20:22] = 2
    maps[1, 0:2] = 3
    maps[2, 40:] = 1
    found = reconstruction_metrics(Grey(), frames, DrawnMaps(maps), batch_size=2)  # type: ignore[arg-type]
    grey = (127 / 255 - 0.5) ** 2
    assert found["mse"] == pytest.approx((0.25 + grey + 0.25) / 3, rel=1e-4)
    assert found["mse_key"] == pytest.approx(0.25, rel=1e-5)
    assert found["mse_exit"] == pytest.approx(grey, rel=1e-3)
    assert found["mse_wall"] == pytest.approx(0.25, rel=1e-5)
    assert np.isnan(found["mse_door"])
    assert found["object_mse"] == pytest.approx((8 * 0.25 + 128 * grey) / 136, rel=1e-4)
    assert found["latent_dimension"] == 1
    without = reconstruction_metrics(Grey(), frames)  # type: ignore[arg-type]
    assert set(without) == {"mse", "psnr", "ssim", "active_units", "latent_dimension"}


def test_encode_and_reconstruct_frames() -> None:
    model = create_autoencoder("conv_maxpool")
    frames = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)
    everything = encode_frames(model, frames, batch_size=3)
    assert everything.shape == (7, *model.encoding_shape)
    assert everything.dtype == np.float32
    chosen = encode_frames(model, frames, np.array([1, 4, 6]), batch_size=2)
    np.testing.assert_allclose(chosen, everything[[1, 4, 6]], atol=1e-5)
    by_function = encode_frames(lambda f: f.reshape(len(f), -1).astype(np.float32), frames)
    assert np.array_equal(by_function, frames.reshape(7, -1).astype(np.float32))
    assert reconstruct_frames(model, frames, batch_size=4).shape == frames.shape
    assert to_pictures(torch.tensor([[[[2.0]], [[-1.0]], [[0.5]]]])).tolist() == [[[[255, 0, 128]]]]


def test_the_cost_of_an_encoder_is_not_that_of_its_neighbours() -> None:
    model = create_autoencoder("vae_paper")
    alone = min(cpu_cost(model, repeats=20) for _ in range(3))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        crowded = cpu_cost(model)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert 0 < crowded < 2.5 * alone  # by the wall clock it is three times as much and more


def test_latency_measures_and_leaves_everything_as_it_was() -> None:
    model = create_autoencoder("conv_maxpool")
    threads = torch.get_num_threads()
    found = latency(model, 2, part="model", seconds=0.02)
    assert 0 < found["p10_ms"] <= found["median_ms"] <= found["p90_ms"]
    assert found["frames_per_second"] == pytest.approx(2 / found["median_ms"] * 1e3)
    assert torch.get_num_threads() == threads
