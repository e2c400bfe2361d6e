"""Search spaces: the shipped files, and one-line errors for mistakes in one's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.errors import ConfigError, HeistEncodersError, UnknownNameError
from heist_encoders.training.config import TrainConfig
from heist_encoders.tuning import load_space, search_space, space_names
from heist_encoders.tuning.options import METRICS, Objective, SweepOptions
from heist_encoders.tuning.plan import place_of
from heist_encoders.tuning.spaces import PRESETS, configs_folder, space_of

FAMILIES = [
    "compact", "conv_maxpool", "conv_maxpool_big", "conv_no_bottleneck", "conv_unpool", "grid", "vae_alex", "vae_paper",
]  # fmt: skip

PLAIN = {"weighting": "none", "class_share": 0.5}
COINRUN = {"game": "coinrun", "distribution_mode": "easy", "balance": "natural"}


def draw(param_space: dict, seed: int, count: int = 5) -> list[dict]:
    """Configurations as Ray Tune itself samples them."""
    from ray.tune.search.variant_generator import generate_variants

    random_state = np.random.RandomState(seed)
    configs = []
    for _ in range(count):
        configs += [spec["config"] for _, spec in generate_variants({"config": param_space}, random_state=random_state)]
    return configs


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_family_has_a_space() -> None:
    assert space_names() == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_spaces_search_all_that_matters(family: str) -> None:
    wanted = {
        "learning_rate", "batch_size", "weight_decay", "schedule", "precision",
        "params.channels", "loss.weighting", "loss.class_share",
    }  # fmt: skip
    if family.startswith("vae"):
        wanted |= {"loss.beta", "loss.beta_warmup"}
    if family == "vae_alex":
        wanted |= {"loss.perceptual"}
    if family != "grid":  # which is spatial: its map can be read anyway
        wanted |= {"loss.semantic_map"}
    if family not in ("compact", "conv_no_bottleneck", "conv_unpool", "grid"):  # theirs follows from other sizes
        wanted |= {"params.latent_size"}
    assert wanted <= set(load_space(family).searched)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_spaces_sample_what_training_accepts(family: str, preset: str) -> None:
    for config in draw(search_space(family, preset), seed=1):
        Objective.from_dict(config.pop("objective"))
        trained = TrainConfig.from_dict(config)
        assert trained.autoencoder == family
        assert trained.max_epochs <= load_space(family, preset).max_epochs


def test_a_seed_repeats_the_configurations() -> None:
    space = search_space("vae_paper")
    assert draw(space, 3) == draw(space, 3)
    assert draw(space, 3) != draw(space, 4)


def test_a_path_name_and_dashes_mean_the_same() -> None:
    for name in ("vae-paper", configs_folder() / "vae_paper.yaml", "tune_configs/vae_paper.yaml"):
        assert load_space(name) == load_space("vae_paper")


def test_presets_differ_in_budget_only() -> None:
    spaces = [load_space("vae_paper", preset) for preset in PRESETS]
    epochs = [s.max_epochs * s.parameters["epoch_samples"] for s in spaces]
    assert epochs == sorted(epochs)
    assert epochs[0] < epochs[-1]
    assert {s.searched for s in spaces[:2]} == {spaces[0].searched}


def test_all_kinds_of_sampling(tmp_path: Path) -> None:
    text = """
autoencoder: vae_paper
space:
  learning_rate: {quniform: [0.001, 0.01, 0.001]}
  weight_decay: {qloguniform: [1.0e-4, 1.0e-2, 1.0e-4]}
  batch_size: {qrandint: [32, 128, 32]}
  seed: {randint: [0, 3]}
  patience: {lograndint: [1, 20]}
  schedule: {grid: [constant, cosine]}
  params: {latent_size: 16}
  loss:
    pixel: {choice: [mse, power4]}
    class_share: {uniform: [0.5, 0.9]}
    beta: {loguniform: [1.0e-7, 1.0e-4], when: {loss.pixel: mse}, otherwise: 0.5}
"""
    path = write(tmp_path, text)
    space = load_space(path)
    assert space.num_trials == 2 * space.sweep.num_samples
    configs = draw(space.param_space(), 0, 30)
    assert len(configs) == 60
    for config in configs:
        assert config["batch_size"] in (32, 64, 96, 128)
        assert config["seed"] in (0, 1, 2)
        assert 1 <= config["patience"] < 20
        assert config["params"]["latent_size"] == 16
        beta = config["loss"]["beta"]
        assert 1e-7 <= beta <= 1e-4 if config["loss"]["pixel"] == "mse" else beta == 0.5
    assert {config["loss"]["pixel"] for config in configs} == {"mse", "power4"}


def test_otherwise_is_the_default_of_the_architecture(tmp_path: Path) -> None:
    text = "autoencoder: vae_paper\nspace:\n  loss:\n    pixel: {choice: [mse, power4]}\n"
    text += "    beta: {uniform: [0.1, 0.2], when: {loss.pixel: [mse]}}\n"
    assert load_space(write(tmp_path, text)).parameters["loss.beta"].otherwise == 1e-6


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("space: {learning_rat: 0.1}", "unknown key 'learning_rat'; did you mean 'learning_rate'"),
        ("space: {loss: {betta: {choice: [0.1]}}}", "unknown key 'loss.betta'; did you mean 'beta'"),
        ("space: {params: {latent: 3}}", "unknown key 'latent'; did you mean 'latent_size'"),
        ("space: {learning_rate: {loguniforn: [0.1, 0.2]}}", "loguniforn"),
        ("space: {learning_rate: {loguniform: [0.0, 0.2]}}", "must start above 0"),
        ("space: {learning_rate: {uniform: [0.2, 0.1]}}", "lower end must be below"),
        ("space: {learning_rate: {uniform: [0.1]}}", "expected [lower, upper]"),
        ("space: {learning_rate: {uniform: [0.1, 5.0]}}", "learning_rate = 5.0"),
        ("space: {batch_size: {choice: [64, many]}}", "batch_size = 'many'"),
        ("space: {batch_size: {choice: []}}", "at least one value"),
        ("space: {batch_size: {choice: [1], grid: [2]}}", "one kind of sampling"),
        ("space: {batch_size: {choice: [8], when: {schedul: cosine}}, schedule: cosine}", "did you mean 'schedule'"),
        ("space: {batch_size: {choice: [8], when: {schedule: linear}}, schedule: cosine}", "never occurs"),
        ("space: {batch_size: {choice: [8], otherwise: 3}}", "needs a 'when'"),
        ("sweeps: {}", "unknown key 'sweeps'; did you mean 'sweep'"),
        ("sweep: {num_sample: 3}", "unknown key 'num_sample'; did you mean 'num_samples'"),
        ("sweep: {scheduler: hyperband}", "unknown scheduler 'hyperband'"),
        ("objective: {metric: accuracy}", "unknown metric 'accuracy'"),
        ("objective: {max_latency_ms: -1.0}", "max_latency_ms = -1.0"),
        ("preset: fast", "unknown preset 'fast'"),
        ("space: [1, 2]", "expected a mapping"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, body: str, expected: str) -> None:
    path = write(tmp_path, f"autoencoder: vae_paper\n{body}\n")
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        load_space(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    if "preset" not in body:
        assert str(path) in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vae_paper'"):
        search_space("vae_papr")
    with pytest.raises(ConfigError, match="no such config file"):
        search_space(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a preset: give an architecture too"):
        search_space("quick")
    with pytest.raises(ConfigError, match="unknown autoencoder 'vae_papr'; did you mean 'vae_paper'"):
        search_space(write(tmp_path, "autoencoder: vae_papr\n"))
    with pytest.raises(ConfigError, match="missing key 'autoencoder'"):
        search_space(write(tmp_path, "space: {}\n"))


def test_objective_never_prefers_what_is_over_a_limit() -> None:
    objective = Objective()
    good = {"latent_dimension": 1200, "latency_ms": 5.0, "miou": 0.0, "test_loss": 1e5}
    large = {"latent_dimension": 1201, "latency_ms": 1.0, "miou": 1.0, "test_loss": 0.0}
    slow = {"latent_dimension": 10, "latency_ms": 50.0, "miou": 1.0, "test_loss": 0.0}
    for chosen in (objective, Objective(metric="test_loss")):
        assert chosen.score(good) > chosen.score(large) > chosen.score(slow)
    assert [epoch for epoch in range(1, 20) if Objective(first_probe=2, probe_factor=3).probed(epoch)] == [2, 6, 18]
    assert [epoch for epoch in range(1, 8) if Objective(first_probe=2, probe_factor=1).probed(epoch)] == [2, 4, 6]


def test_a_limit_is_named_where_it_is_broken() -> None:
    objective = Objective()
    assert objective.reason({"latent_dimension": 1200, "latency_ms": 5.0}) == ""
    assert objective.reason({"latent_dimension": 4096, "latency_ms": 5.0}) == "latent dimension 4,096 over 1,200"
    both = objective.reason({"latent_dimension": 1201, "latency_ms": 7.25})
    assert both == "latent dimension 1,201 over 1,200, latency 7.25 ms over 5"


def test_a_metric_is_checked_against_the_game() -> None:
    for metric in METRICS:
        Objective(metric=metric).check_game("heist")
    Objective(metric="test_loss").check_game("coinrun")
    Objective(metric="linear_presence_f1").check_game("maze")
    with pytest.raises(ConfigError, match=r"metric 'miou' can't be read from frames of coinrun; .*: test_loss$"):
        Objective().check_game("coinrun")
    with pytest.raises(ConfigError, match="frames of maze; choose one of: presence_f1, linear_presence_f1, test_loss"):
        Objective().check_game("maze")


@pytest.mark.parametrize(
    ("spec", "objective", "train", "message"),
    [
        ({}, {}, {}, None),
        ({"size": 9, "test_fraction": 0.0}, {}, {}, "the dataset's test split is empty"),
        ({"size": 1, "test_fraction": 0.9}, {}, {}, "the dataset's train split is empty"),
        (COINRUN, {}, {}, "metric 'miou' can't be read from frames of coinrun"),
        (COINRUN, {"metric": "test_loss"}, {}, "loss.weighting = .*needs semantic maps, which coinrun does not have"),
        (COINRUN, {"metric": "test_loss"}, {"loss": PLAIN}, "loss.semantic_map = "),
        (COINRUN, {"metric": "test_loss"}, {"loss": {**PLAIN, "semantic_map": 0.0}}, None),
    ],
)
def test_a_dataset_is_checked_before_any_trial(
    spec: dict[str, Any], objective: dict[str, Any], train: dict[str, Any], message: str | None
) -> None:
    space = load_space("vae_paper").with_options(objective=objective, train=train)
    if message is None:
        space.check_dataset(DatasetSpec.from_dict(spec))
        return
    with pytest.raises(HeistEncodersError, match=message):
        space.check_dataset(DatasetSpec.from_dict(spec))


def test_old_metrics_go_on_working_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="'mlp_f1' is now 'presence_f1'"):
        assert Objective.from_dict({"metric": "mlp_f1"}).metric == "presence_f1"


def test_optuna_space_honours_conditions_and_lists(tmp_path: Path) -> None:
    import optuna

    from heist_encoders.tuning.optuna_tpe import OptunaSpace

    text = "autoencoder: conv_maxpool\nspace:\n  params: {channels: {choice: [[16, 4], [32, 8]]}}\n"
    text += "  batch_size: {choice: [64, 128]}\n  schedule: {choice: [constant], when: {batch_size: 64}}\n"
    space = OptunaSpace(load_space(write(tmp_path, text), "smoke").parameters)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(8):
        values = space(study.ask())
        assert values["params/channels"] in ([16, 4], [32, 8])
        assert values["schedule"] == ("constant" if values["batch_size"] == 64 else "cosine")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("{}", "expected a list"),
        ("[{lerning_rate: 0.001}]", "not searched; did you mean 'learning_rate'"),
        ("[{learning_rate: 0.5}]", "expected a value in"),
        ("[{batch_size: 100}]", "expected one of"),
    ],
)
def test_start_is_checked(tmp_path: Path, start: str, expected: str) -> None:
    text = "autoencoder: vae_paper\nspace: {learning_rate: {uniform: [0.001, 0.01]}, batch_size: {choice: [64, 128]}}\n"
    with pytest.raises(ConfigError) as caught:
        load_space(write(tmp_path, f"{text}start: {start}\n"))
    assert expected in str(caught.value)


def test_trials_find_the_dataset_wherever_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of(SimpleNamespace(path="data/memory")) == str(tmp_path / "data" / "memory")
    uri = "s3://bucket/heist?region=eu-west-1"
    assert place_of(SimpleNamespace(path=uri)) == uri


@pytest.mark.parametrize("preset", PRESETS)
def test_a_space_of_ones_own_spends_what_the_preset_says(preset: str) -> None:
    own, packaged = space_of({"autoencoder": "vae_paper"}, preset), load_space("vae_paper", preset)
    assert own.max_epochs == packaged.max_epochs
    assert own.parameters["epoch_samples"] == packaged.parameters["epoch_samples"]
    assert (own.objective, own.sweep) == (packaged.objective, packaged.sweep)
    assert space_of({"autoencoder": "vae_paper", "max_epochs": 3}, preset).max_epochs == 3


def test_sweep_options_of_a_file_and_of_keywords_are_the_same(tmp_path: Path) -> None:
    path = write(
        tmp_path, "autoencoder: vae_paper\nsweep: {num_samples: 3, seed: 4, cpus_per_trial: 2, log: [mlflow]}\n"
    )
    from_file = load_space(path).sweep
    assert (
        from_file == load_space("vae_paper").with_options(num_samples=3, seed=4, cpus_per_trial=2, log=["mlflow"]).sweep
    )
    assert from_file.log == ("mlflow",)
    assert from_file.grace_epochs == load_space("vae_paper").sweep.grace_epochs  # the preset's
    assert [name for name, field in SweepOptions.model_fields.items() if not field.description] == []
