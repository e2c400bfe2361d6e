from __future__ import annotations

import numpy as np
import pytest
import torch

from heist_encoders.autoencoders import to_input
from heist_encoders.errors import ConfigError


def test_uint8_becomes_float_in_one_way() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    before = frames.copy()
    image = to_input(frames)
    assert image.shape == (3, 3, 64, 64)
    assert image.dtype == torch.float32
    assert image.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(image.numpy(), frames.transpose(0, 3, 1, 2) / 255.0, atol=1e-7)
    assert torch.equal(image, to_input(torch.from_numpy(frames)))
    plain = to_input(frames, channels_last=False)
    assert plain.is_contiguous()
    assert torch.equal(plain, image)
    np.testing.assert_array_equal(frames, before)
    assert to_input(np.full((1, 64, 64, 3), 255, np.uint8)).max() == 1


def test_read_only_and_strided_arrays_will_do() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    frames.flags.writeable = False
    assert torch.equal(to_input(frames)[::2], to_input(frames[::2]))
    assert torch.equal(to_input(frames).flip(0), to_input(frames[::-1]))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((1, 64, 64, 3), np.float32), "float32, expected uint8"),
        (torch.zeros(1, 64, 64, 3), "float32, expected torch.uint8"),
        (np.zeros((64, 64, 3), np.uint8), r"\(64, 64, 3\), expected \(N, 64, 64, 3\)"),
        (np.zeros((1, 3, 64, 64), np.uint8), r"expected \(N, 64, 64, 3\)"),
    ],
)
def test_anything_else_is_refused(frames: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        to_input(frames)  # type: ignore[arg-type]
