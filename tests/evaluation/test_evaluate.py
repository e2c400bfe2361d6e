"""Evaluating an artifact: figures, files, refusals, and the reference rows."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.errors import ConfigError, DatasetError
from heist_encoders.evaluation import evaluate as module
from heist_encoders.evaluation.encoding import TrueState
from heist_encoders.evaluation.entries import Entry, find_evaluations
from heist_encoders.evaluation.evaluate import evaluate
from heist_encoders.evaluation.examples import Examples
from heist_encoders.evaluation.probing import ProbeResult, probe, probe_data
from heist_encoders.evaluation.references import majority, raw_pixels, reference_rows, untrained_encoder
from heist_encoders.evaluation.sections import all_references
from heist_encoders.policies.planner import fit_planner
from heist_encoders.semantic import UNKNOWN, coarsen
from heist_encoders.tasks.heist.elements import CLASSES, ELEMENTS
from heist_encoders.tasks.heist.task import HeistTask
from heist_encoders.tasks.targets import Flags
from heist_encoders.zoo.artifact import Artifact, load_artifact, save_artifact
from tests.evaluation.made import make_artifact

Evaluated = tuple[Artifact, dict[str, Any]]


def test_evaluation_writes_everything(evaluated: Evaluated) -> None:
    artifact, metrics = evaluated
    folder = artifact.path / "evaluation"
    assert metrics["folder"] == str(folder)
    assert {p.name for p in folder.iterdir()} == {
        "metrics.json", "metrics.npz", "examples.npz", "reconstructions.png", "video.mp4", "loss.png", "summary.txt",
    }  # fmt: skip
    assert not list(folder.glob(".*"))
    stored = json.loads((folder / "metrics.json").read_text())
    assert stored == {k: v for k, v in metrics.items() if k not in ("folder", "parts")}
    # The figures are the artifact's own now, and its hashes hold.
    reloaded = load_artifact(artifact.path)
    assert reloaded.metrics == stored
    assert reloaded.sha256 == artifact.sha256
    summary = (folder / "summary.txt").read_text()
    assert "Conv2d" in summary
    assert "frames/s" in summary
    assert metrics["parts"] == ["reconstruction", "probes", "speed", "pictures"]


def test_figures_are_in_range(evaluated: Evaluated) -> None:
    metrics = evaluated[1]
    probes, reconstruction = metrics["probes"], metrics["reconstruction"]
    assert 0 < probes["miou"] < 1
    assert tuple(probes["iou"]) == CLASSES
    assert set(probes["by_thing"]) == set(ELEMENTS)
    names = [name for target in HeistTask().probe_targets() for name in target.figures]
    for name in (*names, *(f"linear_{name}" for name in names)):
        assert 0 <= probes[name] <= (64 if name.endswith("_px") else 1), name
    assert probes["plan_accuracy"] is None
    assert 0 < reconstruction["mse"] < 1
    assert reconstruction["object_mse"] > 0
    assert reconstruction["test_loss"] > 0
    assert metrics["speed"]["cpu"]["encoder"]["1"]["median_ms"] > 0
    assert metrics["references"]["majority"]["presence_f1"] == 0
    assert probes["seeds"] == 2
    assert probes["std"]["miou"] > 0
    assert f"± {probes['std']['miou']:.2g}" in evaluated[0].card


def test_examples_carry_the_maps_that_the_probe_read(evaluated: Evaluated, small_dataset: Any) -> None:
    examples = Examples.load(evaluated[0].path / "evaluation" / "examples.npz")
    maps = small_dataset.semantic_maps("test")
    np.testing.assert_array_equal(examples.maps, coarsen(maps.pick(examples.rows), len(CLASSES)))
    assert (examples.element >= 0).sum() >= 7
    found = probe(evaluated[0].load_model(), small_dataset, wanted=("miou",), device="cpu")
    assert found.maps is not None
    at = np.searchsorted(found.test_rows, examples.rows)
    # Encoded in batches of the same size, trained with the same seed.
    assert (examples.read_maps == found.maps[at]).mean() > 0.99


def test_plan_accuracy_is_measured_where_it_is_asked_for(small_dataset: Any) -> None:
    def encode(frames: Any) -> Any:
        return frames[:, ::8, ::8].transpose(0, 3, 1, 2).astype(np.float32)

    found = probe(encode, small_dataset, wanted=("next_move_accuracy",), plan_samples=512, fast=True, device="cpu")
    assert found.plan_samples == 512
    assert found.plan_accuracy is not None
    assert 0 < found.plan_accuracy < 1
    assert found.miou is None


def test_only_wanted_figures_are_probed(small_dataset: Any) -> None:
    def encode(frames: Any) -> Any:
        return frames.mean((1, 2)).astype(np.float32)

    options: dict[str, Any] = {"fast": True, "train_limit": 64, "test_limit": 32, "device": "cpu"}
    found = probe(encode, small_dataset, wanted=("linear_presence_f1",), **options)
    assert set(found.figures) == {"presence_f1", "linear_presence_f1"}
    assert found.miou is None
    assert found.train_samples == 64
    for wanted, read_off in ((("miou",), set()), (("map_presence_f1",), {"map_presence_f1"})):
        found = probe(encode, small_dataset, wanted=wanted, **options)
        assert set(found.figures) == read_off  # by the probe that gives the mIoU, too
        assert found.miou is not None


@pytest.mark.usefixtures("quick_maps")
def test_out_leaves_the_artifact_alone(small_dataset: Any, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    before = {p.name: p.read_bytes() for p in artifact.path.iterdir()}
    metrics = module.evaluate(
        artifact.path, small_dataset, out=tmp_path / "out", seeds=1, plan_samples=0, pictures=False
    )
    assert {p.name: p.read_bytes() for p in artifact.path.iterdir()} == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"metrics.json", "examples.npz", "summary.txt"}
    assert metrics["name"] == "tiny"
    assert find_evaluations(tmp_path) == [tmp_path / "out"]


@pytest.mark.parametrize(
    ("option", "value"), [("distribution_mode", "easy"), ("game", "coinrun"), ("use_backgrounds", True)]
)
def test_another_kind_of_dataset_is_refused(small_dataset: Any, tmp_path: Path, option: str, value: Any) -> None:
    spec = SimpleNamespace(game="heist", distribution_mode="memory", use_backgrounds=False)
    setattr(spec, option, value)
    other = SimpleNamespace(spec=spec, hash="0" * 64, frames=small_dataset.frames)
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    with pytest.raises(DatasetError, match=f"dataset has {option} {value!r}, but tiny was trained on") as error:
        module.evaluate(artifact, other, out=tmp_path / "out")  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_out_that_is_a_file_is_refused(small_dataset: Any, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file, expected a folder"):
        module.evaluate(artifact, small_dataset, out=tmp_path / "file")


def test_a_game_without_labels_has_nothing_to_probe_for(small_dataset: Any) -> None:
    other = SimpleNamespace(frames=small_dataset.frames, spec=SimpleNamespace(game="coinrun"), hash="")
    for measure in (lambda: probe(lambda frames: frames.mean((1, 2)), other), lambda: majority(other)):  # type: ignore[arg-type]
        with pytest.raises(DatasetError, match="coinrun has no labels to probe for"):
            measure()


@pytest.mark.usefixtures("quick_maps")
def test_references(small_dataset: Any) -> None:
    options: dict[str, Any] = {"fast": True, "train_limit": 64, "test_limit": 32, "device": "cpu"}
    rows = reference_rows(small_dataset, ["conv_maxpool"], **options)
    assert [row["name"] for row in rows] == ["majority", "conv_maxpool, untrained", "raw pixels"]
    assert rows[2]["latent_dimension"] == 12288
    first = untrained_encoder("conv_maxpool", small_dataset, seed=1, wanted=("presence_f1",), **options)
    again = untrained_encoder("conv_maxpool", small_dataset, seed=1, wanted=("presence_f1",), **options)
    assert first.figures == again.figures
    wanted = ("subgoal_accuracy",)
    assert raw_pixels(small_dataset, **{**options, "train_limit": 50, "wanted": wanted}).train_samples == 50


def test_references_are_measured_as_the_encoder_beside_them(
    small_dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The untrained encoder has the artifact's sizes; all are probed with the settings of its own probes."""
    asked: list[tuple[int, dict[str, Any]]] = []

    def measure(encoder: Any, dataset: Any, **settings: Any) -> ProbeResult:
        dimension = int(np.prod(getattr(encoder, "encoding_shape", (12288,))))
        asked.append((dimension, settings))
        seen = min(settings["train_limit"], len(dataset.frames("train")))
        return ProbeResult(0.5, {}, None, 0, {}, {}, {}, seen, 1, dimension, 0, 1, False, 0.0)

    monkeypatch.setattr("heist_encoders.evaluation.evaluate.probe", measure)
    monkeypatch.setattr("heist_encoders.evaluation.references.probe", measure)
    monkeypatch.setattr("heist_encoders.evaluation.references.PIXEL_TRAIN", 100)
    monkeypatch.setattr("heist_encoders.evaluation.evaluate.speeds", lambda model: {"cpu": {}})
    model = create_autoencoder("conv_maxpool", {"latent_size": 7})
    artifact = save_artifact(tmp_path / "a", model, name="a", dataset=small_dataset, training={})
    options: dict[str, Any] = {"seed": 4, "seeds": 2, "plan_samples": 8, "map_samples": 9, "wanted": ("miou",)}
    found = evaluate(artifact, small_dataset, references=True, pictures=False, probe_frames=8_000, **options)
    settings = {**options, "train_limit": 8_000, "device": "cpu"}
    (own, first), (untrained, second), (pixels, third) = asked
    assert own == untrained == 7
    assert first == second == settings
    assert (pixels, third) == (12288, {**settings, "train_limit": 100, "plan_samples": 0})
    assert {key: row["name"] for key, row in found["references"].items() if key != "majority"} == {
        "untrained": "conv_maxpool, untrained", "raw_pixels": "raw pixels, 100 frames",
    }  # fmt: skip


def test_untrained_rows_of_other_sizes_stand_apart() -> None:
    """Two encoders of an architecture: a row for each untrained one that reads differently."""
    entries = [
        Entry(name, "grid", {"references": {"untrained": {"miou": miou}, "majority": {"miou": 0.1}}})
        for name, miou in (("small", 0.3), ("same", 0.3), ("large", 0.4))
    ]
    assert dict(all_references(entries, None)) == {
        "grid, untrained": {"miou": 0.3}, "large, untrained": {"miou": 0.4}, "majority": {"miou": 0.1},
    }  # fmt: skip


@pytest.mark.usefixtures("quick_maps")
def test_true_state_is_a_reference_where_the_maze_is_in_view(tmp_path: Path) -> None:
    data = generate_local(DatasetSpec(size=96, seed=3, distribution_mode="easy"), tmp_path / "easy")
    options: dict[str, Any] = {"fast": True, "train_limit": 64, "test_limit": 32, "device": "cpu"}
    rows = reference_rows(data, plan_samples=64, **options)
    assert [row["name"] for row in rows] == ["majority", "raw pixels", "true state"]
    assert rows[2]["latent_dimension"] == 16 * 9 * 9
    assert 0 <= rows[2]["plan_accuracy"] <= 1


def test_plan_accuracy_learns_from_all_train_frames_and_tells_noise_from_the_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = generate_local(DatasetSpec(size=640, seed=4, distribution_mode="easy"), tmp_path / "easy")
    seen: list[int] = []

    def fit(x: Any, *args: Any, **options: Any) -> Any:
        seen.append(len(x))
        return fit_planner(x, *args, **options)

    monkeypatch.setattr("heist_encoders.evaluation.probing.fit_planner", fit)
    options: dict[str, Any] = {"wanted": (), "train_limit": 32, "test_limit": 64, "device": "cpu"}
    state = probe(TrueState(places=False), data, plan_samples=2_000, **options)
    noise = probe(lambda frames: np.zeros((len(frames), 2, 9, 9)), data, plan_samples=100, **options)
    assert seen == [len(data.frames("train")), 100]
    assert state.plan_accuracy is not None
    assert noise.plan_accuracy is not None
    assert state.plan_accuracy > noise.plan_accuracy


def test_untrained_grid_has_the_cells_of_the_dataset(small_dataset: Any) -> None:
    options: dict[str, Any] = {"fast": True, "train_limit": 32, "test_limit": 32, "device": "cpu"}
    found = untrained_encoder("grid", small_dataset, wanted=("subgoal_accuracy",), **options)
    assert found.latent_dimension == 16 * 8 * 8


def test_majority_by_hand(small_dataset: Any) -> None:
    found = majority(small_dataset)
    progress = small_dataset.labels("test")["progress"]
    most = small_dataset.labels("train")["progress"].mode()[0]
    assert found["subgoal_accuracy"] == pytest.approx((progress == most).mean(), abs=1e-6)
    asked = [
        probe_data(small_dataset, split, np.arange(len(small_dataset.frames(split)))).maps
        for split in ("train", "test")
    ]
    assert asked[0] is not None
    assert asked[1] is not None
    counts = np.array([(asked[0] == number).sum(0) for number in range(len(CLASSES))])
    usual, known = counts.argmax(0), asked[1] != UNKNOWN
    for number, name in enumerate(CLASSES):
        there, said = asked[1] == number, (usual == number) & known
        expected = (there & said).sum() / (there | said).sum() if there.any() else None
        assert found["iou"][name] == (None if expected is None else pytest.approx(expected, abs=1e-6))


@pytest.mark.usefixtures("quick_maps")
def test_one_object_adds_a_target_everywhere(
    small_dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heist_encoders.evaluation.report import write_report

    own = HeistTask().probe_targets()
    extra = Flags("blue_key_held", ["held_blue"], "blue key in the inventory")
    monkeypatch.setattr(HeistTask, "probe_targets", lambda self: (own[2], extra))
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    metrics = module.evaluate(artifact, small_dataset, seeds=1, plan_samples=0, pictures=False)
    for name in ("blue_key_held_f1", "linear_blue_key_held_accuracy"):
        assert 0 <= metrics["probes"][name] <= 1
        assert 0 <= metrics["references"]["majority"][name] <= 1
    assert "presence_f1" not in metrics["probes"]
    assert "blue_key_held_accuracy" in load_artifact(artifact.path).card
    page = write_report([metrics], tmp_path / "report.html").read_text()
    section = page[page.index('<section id="probes">') :]
    for title in extra.figures.values():
        assert title in section
    assert f"{metrics['probes']['blue_key_held_f1']:.2f}" in section


def test_the_scene_score_is_the_product_of_both_main_figures(evaluated: tuple[Artifact, dict[str, Any]]) -> None:
    from dataclasses import replace

    from heist_encoders.evaluation.probing import ProbeResult

    result = ProbeResult(0.8, {}, 0.5, 100, {}, {}, {}, 1, 1, 1, 0, 1, False, 0.0)
    assert result.scene_score == pytest.approx(0.4)
    assert result.to_dict()["scene_score"] == pytest.approx(0.4)
    assert replace(result, plan_accuracy=None).scene_score is None
    assert evaluated[1]["probes"]["scene_score"] is None, "no planning head was trained"


@pytest.mark.parametrize(("fraction", "split"), [(0.0, "test"), (0.99, "train")])
def test_an_empty_split_is_one_line(evaluated: Evaluated, tmp_path: Path, fraction: float, split: str) -> None:
    dataset = generate_local(DatasetSpec(size=8, test_fraction=fraction), tmp_path / "data")
    with pytest.raises(DatasetError, match=f"the dataset's {split} split is empty"):
        module.evaluate(evaluated[0], dataset, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
