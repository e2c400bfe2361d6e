from __future__ import annotations

import pytest
import torch

from heist_encoders.autoencoders import BaseAutoencoder, Output, create_autoencoder
from heist_encoders.autoencoders.losses import class_weights, rarity_table, rarity_weights
from heist_encoders.autoencoders.perceptual import PerceptualFeatures
from heist_encoders.errors import ConfigError
from heist_encoders.semantic import coarse_maps
from heist_encoders.training.config import LossConfig
from heist_encoders.training.objective import TERMS, Batch, Context, Objective, map_cross_entropy
from tests.training.fakes import CLASSES

FRAMES = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def inputs(frames: torch.Tensor = FRAMES) -> torch.Tensor:
    return frames.permute(0, 3, 1, 2).float() / 255


def some_maps() -> torch.Tensor:
    maps = torch.zeros(2, 64, 64, dtype=torch.uint8)
    maps[0, :32, :32] = 2
    maps[:, 40:] = 1
    return maps


def a_vae_output(reconstruction: float, mean: float) -> Output:
    means = torch.full((2, 4), mean)
    return Output(torch.full((2, 3, 64, 64), reconstruction), means, means, torch.zeros(2, 4))


def plain(**weights: float) -> LossConfig:
    return LossConfig(weighting="none", **weights)  # type: ignore[arg-type]


def test_every_term_has_a_weight_of_its_name() -> None:
    assert set(TERMS) <= set(LossConfig().weights())
    assert all(getattr(LossConfig(), name) == 0 for name in TERMS)


def test_beta_warms_up() -> None:
    config = LossConfig(beta=0.5, beta_warmup=0.2)
    assert [config.weights(p)["kl"] for p in (0.0, 0.1, 0.2, 1.0)] == [0.0, 0.25, 0.5, 0.5]
    assert LossConfig(beta=0.5).weights(0.0)["kl"] == 0.5


def test_kl_is_summed_over_dimensions_and_free_bits_cost_nothing_to_stay_under() -> None:
    model, frames, batch = create_autoencoder("vae_paper"), torch.full((2, 3, 64, 64), 0.5), Batch(FRAMES)
    # Each dimension: KL = 0.5 * 0.6 ** 2 = 0.18; four of them.
    losses = Objective(plain(beta=0.1), model)(model, frames, a_vae_output(0.4, 0.6), batch)
    assert float(losses.terms["kl"]) == pytest.approx(0.72)
    assert float(losses.total) == pytest.approx(0.01 + 0.1 * 0.72)
    losses = Objective(plain(beta=0.1, free_bits=0.5), model)(model, frames, a_vae_output(0.4, 0.6), batch)
    assert float(losses.total) == pytest.approx(0.01 + 0.1 * 2.0)
    warm = Objective(plain(beta=0.1, beta_warmup=0.5), model)
    assert float(warm(model, frames, a_vae_output(0.4, 0.6), batch, progress=0.25).total) == pytest.approx(0.046)


def test_without_weighting_all_pixels_count_alike() -> None:
    model, frames = create_autoencoder("conv_maxpool"), inputs()
    output = model(frames)
    losses = Objective(plain(), model)(model, frames, output, Batch(FRAMES, some_maps()))
    torch.testing.assert_close(losses.total, (output.reconstruction - frames).square().mean())
    torch.testing.assert_close(losses.terms["mse"], losses.total.detach())
    assert set(losses.terms) == {"pixel", "mse"}


@pytest.mark.parametrize("weighting", ["classes", "rarity"])
def test_weightings_reach_the_pixel_term(weighting: str) -> None:
    model, frames, maps = create_autoencoder("conv_maxpool"), inputs(), some_maps()
    output, table = model(frames), rarity_table(FRAMES)
    config = LossConfig(weighting=weighting, class_share=0.7)  # type: ignore[arg-type]
    losses = Objective(config, model, Context(CLASSES, table))(model, frames, output, Batch(FRAMES, maps))
    weights = class_weights(maps, len(CLASSES), 0.7) if weighting == "classes" else rarity_weights(FRAMES, table)
    expected = (weights * (output.reconstruction - frames).square().mean(1)).sum()
    torch.testing.assert_close(losses.total, expected)
    assert config.needs_maps == (weighting == "classes")


def test_the_perceptual_term_is_added_with_its_weight() -> None:
    model, frames = create_autoencoder("conv_maxpool"), inputs()
    output = model(frames)
    distance = PerceptualFeatures().loss(frames, output.reconstruction)
    objective = Objective(plain(perceptual=0.3), model)
    losses = objective(model, frames, output, Batch(FRAMES))
    torch.testing.assert_close(losses.terms["perceptual"], distance)
    torch.testing.assert_close(losses.total, losses.terms["pixel"] + 0.3 * distance)
    assert not objective.parameters()
    assert not objective.state_dict()


@pytest.mark.parametrize("name", ["conv_maxpool", "conv_unpool"])
def test_the_semantic_map_term_is_added_with_its_weight_and_is_trained_along(name: str) -> None:
    model, frames, maps = create_autoencoder(name), inputs(), some_maps()
    output = model(frames)
    objective = Objective(plain(semantic_map=0.5), model, Context(CLASSES))
    losses = objective(model, frames, output, Batch(FRAMES, maps))
    decoder = objective.terms["semantic_map"].decoder
    expected = map_cross_entropy(decoder(output.encoding), coarse_maps(maps, len(CLASSES)))  # type: ignore[operator]
    torch.testing.assert_close(losses.terms["semantic_map"], expected)
    torch.testing.assert_close(losses.total, losses.terms["pixel"] + 0.5 * expected)
    losses.total.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.parameters())


def test_what_the_data_do_not_have_is_said_in_one_line() -> None:
    model: BaseAutoencoder = create_autoencoder("conv_maxpool")
    for config in (LossConfig(weighting="classes"), plain(semantic_map=1.0)):
        with pytest.raises(ConfigError, match="set weighting to 'rarity' and semantic_map to 0"):
            Objective(config, model)
    with pytest.raises(ConfigError, match="rarity_table"):
        Objective(LossConfig(), model)


def test_old_names_go_on_working_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="class_share"):
        config = LossConfig.from_dict({"element_weight": 0.9, "element_map": 0.3})
    assert (config.weighting, config.class_share, config.semantic_map) == ("classes", 0.9, 0.3)
    with pytest.warns(DeprecationWarning, match="weighting"):
        assert LossConfig.from_dict({"element_weight": 0}).weighting == "none"
