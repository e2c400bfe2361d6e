"""Artifacts: what is saved is what is loaded, and nothing damaged or foreign is opened."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from heist_encoders.autoencoders import autoencoder_names, create_autoencoder
from heist_encoders.autoencoders.frames import to_input
from heist_encoders.errors import ArtifactError
from heist_encoders.files import sha256_of
from heist_encoders.zoo import load_artifact, save_artifact, update_metrics, verify
from heist_encoders.zoo.artifact import Artifact, encoding_statistics
from tests.zoo.making import Played, make_artifact, played_frames


@pytest.fixture
def copy(saved: Artifact, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved.path, tmp_path / "copy"))


@pytest.mark.parametrize("family", autoencoder_names())
def test_weights_come_back_bit_equal(family: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = create_autoencoder(family).eval()
    artifact = save_artifact(tmp_path / "a", model, name="a", dataset=Played(), training={})
    again = artifact.load_model()
    assert not again.training
    assert artifact.encoding_shape == tuple(model.encoding_shape)
    for (name, value), (other_name, other) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(value, other)


def test_card_tells_what_can_be_read(tmp_path: Path) -> None:
    probes = {
        "miou": 0.654321,
        "iou": {"floor": 0.98765, "exit": None},
        "plan_accuracy": 0.75,
        "plan_samples": 100_000,
        "map_presence_f1": 0.75,
        "presence_f1": 0.5,
        "seeds": 3,
        "std": {"miou": 0.0123},
        "by_thing": {"exit": {"f1": 0.111}},
    }
    references = {"majority": {"miou": 0.2}, "untrained": {"name": "tiny, untrained", "miou": 0.4321}}
    card = make_artifact(tmp_path / "mine", metrics={"probes": probes, "references": references}).card
    for line in (
        "- mIoU of the semantic map: 0.6543 ± 0.012",
        "- mIoU of the same network with random weights: 0.4321",
        "- plan accuracy after 100,000 labelled frames: 0.75",
        "- presence F1 by the map's probe: 0.75",
        "- presence F1 of an MLP probe, for comparison: 0.5",
        "- ±: standard deviation over 3 seeds of the probe",
        "| floor | 0.9877 |",
        "| exit | - |",
    ):
        assert line in card.splitlines()
    assert "0.111" not in card
    # One seed has no standard deviation, and no plan accuracy is not 0.
    single = {key: value for key, value in probes.items() if key not in ("std", "plan_accuracy")}
    card = make_artifact(tmp_path / "single", metrics={"probes": single}).card
    assert "±" not in card
    assert "plan accuracy" not in card
    assert "random weights" not in card


def test_card_names_the_mode_where_the_name_alone_means_another(tmp_path: Path) -> None:
    cards = {mode: make_artifact(tmp_path / mode / "vae_alex", mode=mode).card for mode in ("easy", "memory")}
    for call in ('load_encoder("vae_alex"', 'make("heist_encoders:vae-alex-v0"'):
        assert f'{call}, distribution_mode="easy")' in cards["easy"]
        assert f"{call})" in cards["memory"]
    assert 'load_encoder("mine")' in make_artifact(tmp_path / "mine", mode="easy").card


def test_half_the_size(tmp_path: Path) -> None:
    whole, half = (make_artifact(tmp_path / str(half), half=half) for half in (False, True))
    sizes = [(artifact.path / "model.safetensors").stat().st_size for artifact in (whole, half)]
    assert 0.45 < sizes[1] / sizes[0] < 0.55
    frames = played_frames(8)
    encodings = []
    for artifact in (whole, half):
        model = artifact.load_model()
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        encodings.append(model.encode(to_input(frames)))
    assert not torch.equal(*encodings)
    torch.testing.assert_close(encodings[1], encodings[0], rtol=0.02, atol=0.01 * float(encodings[0].std()))


def test_what_was_given_is_kept(tmp_path: Path) -> None:
    artifact = make_artifact(
        tmp_path / "mine", metrics={"f1": np.float32(0.5), "bad": float("nan")}, provenance={"trial": 3}
    )
    assert load_artifact(artifact.path) == artifact
    assert (artifact.name, artifact.architecture, artifact.distribution_mode) == ("mine", "vae_alex", "memory")
    assert artifact.metrics == {"f1": 0.5, "bad": None}
    assert artifact.provenance == {"trial": 3}
    assert artifact.dataset_hash == "0" * 64
    for part in ("vae_alex", "f1", artifact.sha256, "trial: 3", "load_encoder"):
        assert part in artifact.card
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_statistics_are_those_of_the_encodings() -> None:
    model = create_autoencoder("vae_paper").eval()
    frames = played_frames(20)
    mean, std = encoding_statistics(model, frames)
    with torch.inference_mode():
        encodings = model.encode(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255).numpy()
    np.testing.assert_allclose(mean, encodings.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(std, encodings.std(0), rtol=1e-3, atol=1e-6)


def test_statistics_of_a_spatial_encoding_are_the_same_throughout_a_channel() -> None:
    model = create_autoencoder("conv_unpool").eval()
    frames = played_frames(20)
    mean, std = encoding_statistics(model, frames)
    with torch.inference_mode():
        encodings = model.encode(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255).numpy()
    assert mean.shape == std.shape == encodings.shape[1:]
    expected = np.broadcast_to(encodings.mean((0, 2, 3))[:, None, None], mean.shape)
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)
    spread = encodings.std((0, 2, 3))
    np.testing.assert_allclose(std[:, 3, 3], np.where(spread < 1e-6, 1, spread), rtol=1e-3, atol=1e-5)


def test_deviation_is_one_where_nothing_varies() -> None:
    model = create_autoencoder("vae_paper").eval()
    _, std = encoding_statistics(model, np.repeat(played_frames(1), 8, axis=0))
    np.testing.assert_array_equal(std, np.ones_like(std))


def test_statistics_leave_the_training_mode_alone() -> None:
    model = create_autoencoder("vae_paper").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoding_statistics(model, played_frames(4))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_saving_again_replaces(tmp_path: Path) -> None:
    first = make_artifact(tmp_path / "a", seed=1)
    second = make_artifact(tmp_path / "a", seed=2)
    assert first.sha256 != second.sha256
    assert load_artifact(tmp_path / "a").sha256 == second.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_replaced_is_never_missing(copy: Path) -> None:
    seen, done = set(), threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add((copy / "config.json").exists())

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(50):
        update_metrics(load_artifact(copy), {"probes": {}})
    done.set()
    looking.join()
    assert seen == {True}
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_new_metrics_keep_weights_and_pictures(copy: Path) -> None:
    (copy / "curve.png").write_bytes(b"picture")
    before = load_artifact(copy)
    after = update_metrics(before, {"miou": 0.75})
    assert after.metrics == {"miou": 0.75}
    assert after.sha256 == before.sha256
    assert "0.75" in after.card
    assert (copy / "curve.png").read_bytes() == b"picture"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "metrics.json", "README.md"])
@pytest.mark.parametrize("damage", [Path.unlink, _truncate], ids=["missing", "truncated"])
def test_damage_is_refused(copy: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(copy / name)
    for opened in (load_artifact, verify):
        with pytest.raises(ArtifactError) as error:
            opened(copy)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["model.safetensors", "metrics.json", "README.md"])
def test_an_altered_file_is_refused(copy: Path, name: str) -> None:
    _alter(copy / name)
    with pytest.raises(ArtifactError, match=f"{name} is truncated or altered"):
        load_artifact(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", 2),
        ("encoding_shape", [0]),
        ("encoding_shape", "32"),
        ("files", {"../outside": "0"}),
        ("files", {}),
        ("name", 3),
        ("surprise", 1),
    ],
)
def test_a_config_of_another_kind_is_refused(copy: Path, key: str, value: object) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(ArtifactError) as error:
        load_artifact(copy)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", "\x00"])
def test_a_config_that_is_no_mapping_is_refused(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(ArtifactError):
        load_artifact(copy)


def test_weights_of_another_size_are_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "family": "vae_paper", "params": {}}))
    with pytest.raises(ArtifactError, match="not those of a vae_paper") as error:
        load_artifact(copy).load_model()
    assert "\n" not in str(error.value)


def test_sizes_that_the_weights_do_not_have_take_no_memory(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    huge = {"channels": [1024] * 4, "latent_size": 4096}  # some GB of weights
    (copy / "config.json").write_text(json.dumps({**config, "family": "vae_paper", "params": huge}))
    with pytest.raises(ArtifactError, match=r"not those of a vae_paper: the network is much larger than its weights"):
        load_artifact(copy).load_model()


@pytest.mark.parametrize(("key", "value"), [("encoding.std", 0.0), ("encoding.mean", float("nan"))])
def test_statistics_that_would_spoil_encodings_are_refused(copy: Path, key: str, value: float) -> None:
    state = load_file(copy / "model.safetensors")
    save_file({**state, key: torch.full_like(state[key], value)}, copy / "model.safetensors")
    config = json.loads((copy / "config.json").read_text())
    config["files"]["model.safetensors"] = sha256_of(copy / "model.safetensors")
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="expected finite numbers of shape"):
        _ = load_artifact(copy).mean


def test_links_beside_an_artifact_are_not_followed(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("mine")
    (copy / "pictures").mkdir()
    for link in (copy / "a", copy / "pictures" / "b"):
        link.symlink_to(tmp_path / "secret")
    artifact = update_metrics(load_artifact(copy), {})
    assert [path.name for path in artifact.path.rglob("*") if path.name in ("a", "b", "key")] == []


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl", "model.ckpt"])
@pytest.mark.parametrize("inside", [False, True])
def test_pickles_are_never_opened(tmp_path: Path, name: str, inside: bool) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ArtifactError, match=r"pickle.*save_artifact"):
        load_artifact(tmp_path if inside else tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, message in (("text", "is a file"), ("empty", "is no artifact"), ("nothing", "no such artifact")):
        with pytest.raises(ArtifactError, match=message):
            load_artifact(tmp_path / name)


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("a file")
    for name in ("work", "file", "file/below"):
        with pytest.raises(ArtifactError):
            make_artifact(tmp_path / name)
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "work"]


def test_a_folder_that_is_not_writable_is_refused() -> None:
    with pytest.raises(ArtifactError, match="cannot write"):  # not even root may make folders there
        make_artifact(Path("/proc/artifact"))


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    make_artifact(tmp_path / "a", seed=1)
    before = load_artifact(tmp_path / "a")
    with pytest.raises(TypeError):
        make_artifact(tmp_path / "a", seed=2, metrics={"unserialisable": object()})
    assert load_artifact(tmp_path / "a") == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
