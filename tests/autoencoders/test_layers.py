from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from heist_encoders.autoencoders.conv_unpool import unpool
from heist_encoders.autoencoders.layers import PixelToMap


def test_pixel_to_map_is_a_transposed_convolution() -> None:
    torch.manual_seed(0)
    for bias in (False, True):
        reference = nn.ConvTranspose2d(12, 7, 5, stride=2, bias=bias)
        fast = PixelToMap(12, 7, 5, stride=2, bias=bias)
        fast.load_state_dict(reference.state_dict())
        pixel = torch.randn(4, 12, 1, 1)
        torch.testing.assert_close(fast(pixel), reference(pixel), rtol=1e-5, atol=1e-6)
        assert fast(pixel).shape == (4, 7, 5, 5)


def test_unpool_puts_maxima_back_and_adds_where_windows_overlap() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 8, 8)
    values, indices = functional.max_pool2d(image, 2, 2, return_indices=True)  # no overlap
    torch.testing.assert_close(unpool(values, indices, (8, 8)), functional.max_unpool2d(values, indices, 2, 2))

    image = torch.zeros(1, 1, 6, 6)
    image[0, 0, 2, 2] = 1.0  # the maximum of all four windows 4x4/2
    values, indices = functional.max_pool2d(image, 4, 2, return_indices=True)
    unpooled = unpool(values, indices, (6, 6))
    assert unpooled[0, 0, 2, 2] == 4.0
    assert unpooled.sum() == 4.0


def test_unpool_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    _, indices = functional.max_pool2d(torch.rand(2, 2, 6, 6), 4, 2, return_indices=True)
    values = torch.rand(2, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: unpool(v, indices, (6, 6)), values)
