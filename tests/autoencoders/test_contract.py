"""What every registered autoencoder promises, the ones of this package and any that is added."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from heist_encoders.autoencoders import BaseAutoencoder, autoencoder_class, autoencoder_names, create_autoencoder
from heist_encoders.autoencoders.losses import rarity_table
from heist_encoders.training.config import default_config
from heist_encoders.training.objective import Batch, Context, Objective

NAMES = autoencoder_names()


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> BaseAutoencoder:
    torch.manual_seed(0)
    return create_autoencoder(request.param)


def images(count: int, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("training", [True, False])
def test_shapes_and_ranges(model: BaseAutoencoder, training: bool) -> None:
    model.train(training)
    output = model(images(3))
    assert output.reconstruction.shape == (3, 3, 64, 64)
    assert output.reconstruction.min() >= 0
    assert output.reconstruction.max() <= 1
    assert output.encoding.shape == (3, *model.encoding_shape)
    assert output.encoding.dtype == torch.float32
    assert model.encode(images(3)).shape == (3, *model.encoding_shape)
    assert model.training is training
    assert (output.mean is None) == (output.log_variance is None)


def test_gradients_reach_every_parameter(model: BaseAutoencoder) -> None:
    frames = images(8)
    batch = Batch((frames * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    objective = Objective(default_config(model.name).loss, model, Context(rarity=rarity_table(batch.frames)))
    model.train()
    objective(model, frames, model(frames), batch).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_encode_is_deterministic_and_is_what_forward_gives(model: BaseAutoencoder) -> None:
    model.eval()
    with torch.no_grad():
        first, again, output = model.encode(images(4)), model.encode(images(4)), model(images(4))
    assert torch.equal(first, again)
    torch.testing.assert_close(output.encoding, first, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(model(images(4)).reconstruction, output.reconstruction)


def test_a_batch_is_its_frames_one_by_one(model: BaseAutoencoder) -> None:
    model.eval()
    frames = images(5)
    with torch.no_grad():
        together = model.encode(frames)
        alone = torch.cat([model.encode(frame[None]) for frame in frames])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_memory_order_does_not_matter(model: BaseAutoencoder) -> None:
    model.eval()
    with torch.no_grad():
        plain = model(images(2))
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        moved = model(images(2).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(moved.encoding, plain.encoding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved.reconstruction, plain.reconstruction, rtol=1e-4, atol=1e-5)
    assert moved.encoding.is_contiguous()


def test_weights_survive_safetensors_bit_for_bit(model: BaseAutoencoder) -> None:
    model.train()
    model(images(4))  # moves the statistics of batch normalisation
    blob = save({k: v.contiguous() for k, v in model.state_dict().items()})
    torch.manual_seed(99)
    other = create_autoencoder(model.name, model.params)
    other.load_state_dict(load(blob))
    model.eval()
    other.eval()
    with torch.no_grad():
        assert torch.equal(model.encode(images(3)), other.encode(images(3)))


def test_it_learns_to_tell_two_frames_apart(model: BaseAutoencoder) -> None:
    frames = torch.zeros(8, 3, 64, 64)
    frames[::2, 0], frames[1::2, 2, 20:40, 20:40] = 0.8, 0.9
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss = default_config(model.name).loss.model_copy(update={"perceptual": 0.0, "weighting": "none"})
    objective, batch = Objective(loss, model), Batch(torch.zeros(8, 64, 64, 3, dtype=torch.uint8))
    losses = []
    for _ in range(12):
        found = objective(model, frames, model(frames), batch)
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
        losses.append(float(found.terms["pixel"]))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_ids(name: str) -> None:
    cls = autoencoder_class(name)
    assert cls.name == name
    assert autoencoder_class(name.replace("_", "-")) is cls
    assert autoencoder_class(cls.env_id) is cls
    assert cls.__doc__
    assert default_config(name).params == cls.Params().to_dict()


# The design's table: encoding, and the encoder's weights counted by hand from its layers.
TABLE = {
    "conv_maxpool": ("auto-maxpool-v0", (32,), (3 * 9 * 16 + 16) + (16 * 9 * 4 + 4) + (1024 * 32 + 32)),
    "conv_maxpool_big": (
        "auto-maxpool-big-v0",
        (32,),
        (3 * 9 * 16 + 16) + (16 * 9 * 32 + 32) + (32 * 49 * 64 + 64) + (6400 * 100 + 100) + (100 * 32 + 32),
    ),
    "conv_no_bottleneck": (
        "auto-no-bottleneck-v0",
        (128, 1, 1),
        (3 * 9 * 16 + 16) + (16 * 9 * 32 + 32) + (32 * 49 * 64 + 64) + (64 * 9 * 128 + 128),
    ),
    "conv_unpool": (
        "auto-unpool-v0",
        (32, 6, 6),
        9 * (3 * 16 + 16 * 16 + 16 * 16 + 16 * 16 + 16 * 32 + 32 * 32) + 2 * (16 * 4 + 32 * 2),
    ),
    "vae_paper": (
        "vae-paper-v0",
        (22,),
        16 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256) + 2 * (1024 * 22 + 22),
    ),
    "vae_alex": (
        "vae-alex-v0",
        (64,),
        16 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (32 + 64 + 128 + 256) + 2 * (1024 * 64 + 64),
    ),
}
ENCODER_PARTS = ("encoder.", "down.", "mean.", "log_variance.")


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str) -> None:
    env_id, shape, parameters = TABLE[name]
    model = create_autoencoder(name)
    assert model.env_id == env_id
    assert model.encoding_shape == shape
    counted = sum(p.numel() for key, p in model.named_parameters() if key.startswith(ENCODER_PARTS))
    assert counted == parameters


CUSTOM = [
    ("conv_maxpool", {"channels": [8, 6], "latent_size": 50, "decoder_channels": [24, 12, 8]}, (50,)),
    ("conv_maxpool_big", {"channels": [8, 12, 20], "hidden_size": 30, "latent_size": 7}, (7,)),
    ("conv_no_bottleneck", {"channels": [4, 8, 12, 33]}, (33, 1, 1)),
    ("conv_unpool", {"channels": [4, 8, 6]}, (6, 6, 6)),
    ("vae_paper", {"channels": [8, 8, 16, 12], "latent_size": 5}, (5,)),
    ("vae_alex", {"channels": [3, 5, 7, 9], "latent_size": 130}, (130,)),
    ("compact", {"channels": [4, 8, 6], "points": 5, "context": 3, "decoder_channels": [8, 8, 4]}, (18,)),
]


@pytest.mark.parametrize(("name", "params", "shape"), CUSTOM)
def test_sizes_are_parameters(name: str, params: dict[str, object], shape: tuple[int, ...]) -> None:
    model = create_autoencoder(name, params)
    output = model(images(2))
    assert output.encoding.shape == (2, *shape) == (2, *model.encoding_shape)
    assert output.reconstruction.shape == (2, 3, 64, 64)
    assert {k: model.params.to_dict()[k] for k in params} == params
    assert math.prod(shape) == output.encoding[0].numel()
