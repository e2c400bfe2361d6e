"""Evaluating an artifact: figures, files, refusals, and the report made of them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from heist_encoders.evaluation.usefulness import usefulness

from heist_encoders.autoencoders import create_autoencoder
from heist_encoders.errors import ArtifactError, ConfigError, DatasetError
from heist_encoders.evaluation import evaluate as module
from heist_encoders.evaluation.charts import lines, scatter
from heist_encoders.evaluation.entries import find_evaluations, read_entry
from heist_encoders.evaluation.examples import Examples
from heist_encoders.evaluation.references import majority, random_encoder, raw_pixels, reference_rows
from heist_encoders.evaluation.report import write_report
from heist_encoders.evaluation.sections import verdict
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.zoo.artifact import Artifact, load_artifact, save_artifact, update_metrics

HISTORY = [{"epoch": i, "train_loss": 1 / (i + 1), "test_loss": 1.1 / (i + 1), "mse": 0.1} for i in range(3)]


def make_artifact(folder: Path, dataset: Any, family: str = "conv_maxpool", name: str = "tiny") -> Artifact:
    training = {"config": {"loss": {"element_weight": 0.5}}, "history": HISTORY}
    return save_artifact(folder, create_autoencoder(family), name=name, dataset=dataset, training=training)


@pytest.fixture(scope="module")
def evaluated(small_dataset: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, dict[str, Any]]:
    artifact = make_artifact(tmp_path_factory.mktemp("zoo") / "tiny", small_dataset)
    parts: list[str] = []
    metrics = module.evaluate(artifact, small_dataset, progress=parts.append)
    assert parts == ["reconstruction", "usefulness", "speed", "pictures"]
    return artifact, metrics


def test_evaluation_writes_everything(evaluated: tuple[Artifact, dict[str, Any]]) -> None:
    artifact, metrics = evaluated
    folder = artifact.path / "evaluation"
    assert metrics["folder"] == str(folder)
    assert {p.name for p in folder.iterdir()} == {
        "metrics.json", "metrics.npz", "examples.npz", "reconstructions.png", "video.mp4", "loss.png", "summary.txt",
    }  # fmt: skip
    assert not list(folder.glob(".*"))
    stored = json.loads((folder / "metrics.json").read_text())
    assert stored == {k: v for k, v in metrics.items() if k != "folder"}
    # The figures are the artifact's own now, and its hashes hold.
    reloaded = load_artifact(artifact.path)
    assert reloaded.metrics == stored
    assert reloaded.sha256 == artifact.sha256
    summary = (folder / "summary.txt").read_text()
    assert "Conv2d" in summary
    assert "frames/s" in summary


def test_figures_are_in_range(evaluated: tuple[Artifact, dict[str, Any]]) -> None:
    metrics = evaluated[1]
    useful, reconstruction = metrics["usefulness"], metrics["reconstruction"]
    assert set(useful["elements"]) == set(ELEMENTS)
    for name in ("mlp_f1", "linear_f1", "held_accuracy", "progress_accuracy", "oracle_move_accuracy"):
        assert 0 <= useful[name] <= 1
    assert 0 < useful["position_error_px"] < 64
    assert 0 < reconstruction["mse"] < 1
    assert reconstruction["test_loss"] > 0
    assert metrics["speed"]["cpu"]["encoder"]["1"]["median_ms"] > 0
    assert metrics["references"]["majority"]["mlp_f1"] == 0
    assert useful["seeds"] == 5
    assert useful["std"]["position_error_px"] > 0
    assert f"± {useful['std']['mlp_f1']:.2g}" in evaluated[0].card


def test_examples_carry_the_probes_beliefs(evaluated: tuple[Artifact, dict[str, Any]], small_dataset: Any) -> None:
    artifact, _ = evaluated
    examples = Examples.load(artifact.path / "evaluation" / "examples.npz")
    model = artifact.load_model()
    found = usefulness(model, small_dataset)
    shown = np.flatnonzero(examples.element >= 0)
    assert len(shown) >= 7
    expected = found.probabilities[examples.rows[shown], examples.element[shown]]
    np.testing.assert_allclose(examples.beliefs[shown], expected, atol=1e-5)
    assert np.isnan(examples.beliefs[examples.element < 0]).all()


def test_out_leaves_the_artifact_alone(small_dataset: Any, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    before = {p.name: p.read_bytes() for p in artifact.path.iterdir()}
    metrics = module.evaluate(artifact.path, small_dataset, out=tmp_path / "out", pictures=False)
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


def test_probes_need_heist_labels(small_dataset: Any) -> None:
    labels = small_dataset.labels("test")[["level_seed"]]
    other = SimpleNamespace(
        frames=small_dataset.frames, labels=lambda split: labels, spec=SimpleNamespace(game="coinrun"), hash=""
    )
    with pytest.raises(DatasetError, match="game 'coinrun'"):
        usefulness(lambda frames: frames.mean((1, 2)), other)  # type: ignore[arg-type]


def test_references(small_dataset: Any) -> None:
    rows = reference_rows(small_dataset, ["conv_maxpool"], fast=True)
    assert [row["name"] for row in rows] == ["always the majority", "conv_maxpool, untrained", "raw pixels"]
    assert rows[2]["latent_dimension"] == 12288
    first = random_encoder("conv_maxpool", small_dataset, seed=1, fast=True)
    assert first.mlp_f1 == random_encoder("conv_maxpool", small_dataset, seed=1, fast=True).mlp_f1
    assert raw_pixels(small_dataset, train_limit=50, fast=True).train_samples == 50
    progress = small_dataset.labels("test")["progress"]
    most = small_dataset.labels("train")["progress"].mode()[0]
    assert majority(small_dataset)["progress_accuracy"] == pytest.approx((progress == most).mean(), abs=1e-6)


class Page(HTMLParser):
    """Collects tags, attributes and text; counts what was opened and not closed."""

    VOID = ("meta", "img", "br", "circle", "line", "polyline", "link", "input", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_is_whole_and_complete_in_itself(
    evaluated: tuple[Artifact, dict[str, Any]], small_dataset: Any, tmp_path: Path
) -> None:
    artifact, metrics = evaluated
    second = make_artifact(tmp_path / "second", small_dataset, "conv_no_bottleneck", "<b>evil</b>")
    other = module.evaluate(second, small_dataset, pictures=False)
    path = write_report(
        [load_artifact(artifact.path), other],
        tmp_path / "deep" / "report.html",
        references=[{"name": "a reference", "mlp_f1": 0.123}],
        dataset=small_dataset,
        sweeps={"sweep one": pd.DataFrame([{"trial": 1, "mlp_f1": 0.5}, {"trial": 2, "mlp_f1": None}])},
        ppo={"curves": {"easy": {"steps": [0, 100, 200], "returns": [0.0, 1.0, 3.0]}}, "text": "PPO & more"},
    )
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert page.open == []
    for text in ("tiny", "<b>evil</b>", "a reference", "always the majority", "sweep one", "PPO & more", "oracle's"):
        assert text in page.text
    assert small_dataset.hash in page.text
    # Nothing is fetched from anywhere: every source is a data URI, and there is no address in the file at all.
    assert not [value for _, name, value in page.attributes if name in ("href", "srcset", "data", "action")]
    sources = [value for _, name, value in page.attributes if name == "src"]
    assert len(sources) > 20
    assert all(value is not None and value.startswith("data:image/png;base64,") for value in sources)
    for word in ("http:", "https:", "@import", "<script", "<link", "url("):
        assert word not in source
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]
    sections = {value for tag, name, value in page.attributes if tag == "section" and name == "id"}
    assert sections == {
        "leaderboard", "gallery", "side-by-side", "tradeoffs", "cost", "training", "ppo", "sweeps", "dataset",
        "definitions",
    }  # fmt: skip
    assert metrics["name"] in page.text


def test_report_ranks_by_usefulness(tmp_path: Path) -> None:
    entries = [
        {"name": name, "family": "vae_paper", "usefulness": {"mlp_f1": score}}
        for name, score in (("middle", 0.5), ("none", None), ("top", 0.9))
    ]
    text = Page(write_report(entries, tmp_path / "r.html").read_text()).text
    leaderboard = text[text.index("Leaderboard") :]
    assert leaderboard.index("top") < leaderboard.index("middle") < leaderboard.index("none")


def test_report_refuses_what_was_never_evaluated(small_dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one evaluated artifact"):
        write_report([], tmp_path / "r.html")
    artifact = make_artifact(tmp_path / "tiny", small_dataset)
    for source in (artifact, artifact.path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match="run heist-encoders evaluate first"):
            write_report([source], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        write_report([{"name": "x", "family": "y"}], tmp_path / "folder.html")


def test_entry_of_an_artifact_takes_its_own_history(evaluated: tuple[Artifact, dict[str, Any]]) -> None:
    artifact, metrics = evaluated
    for source in (artifact, artifact.path, str(artifact.path)):
        assert read_entry(source).history == HISTORY
    from_losses = read_entry(metrics).history  # read back from metrics.npz
    assert [row["test_loss"] for row in from_losses] == [row["test_loss"] for row in HISTORY]
    assert update_metrics(artifact, {"only": 1}).metrics == {"only": 1}
    assert read_entry(artifact).metrics["name"] == "tiny"  # the evaluation's own folder still has it


def test_entry_leaves_out_the_evaluation_of_other_weights(small_dataset: Any, tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "mine", small_dataset)
    artifact = update_metrics(artifact, {"name": "mine", "sha256": artifact.sha256})
    (artifact.path / "evaluation").mkdir()
    for sha256, name in ((artifact.sha256, "evaluated"), ("0" * 64, "mine")):
        old = {"name": "evaluated", "sha256": sha256}
        (artifact.path / "evaluation" / "metrics.json").write_text(json.dumps(old))
        for source in (artifact, artifact.path):
            assert read_entry(source).metrics["name"] == name


def test_verdict() -> None:
    scores = dict(zip(ELEMENTS, (0.95, 0.9, 0.89, 0.5, 0.49, None, 0.0), strict=True))
    said = verdict({"elements": {e: {"mlp_f1": s} for e, s in scores.items()}})
    assert said == (
        "<b>Kept:</b> blue key (0.95), green key (0.90). <b>Half kept:</b> red key (0.89), blue door (0.50). "
        "<b>Thrown away:</b> green door (0.49), exit (0.00)."
    )


def test_charts_survive_odd_values() -> None:
    one = scatter([("<a>", 5.0, 0.5, "#000")], x_label="x", y_label="y", title="t")
    assert "&lt;a&gt;" in one
    assert one.count("<circle") == 1
    curve = lines({"a": ([0, 1, 2], [1.0, float("nan"), 0.1]), "b": ([1], [0.0])}, x_label="x", y_label="y", title="t",
                  log=True)  # fmt: skip
    assert "nan" not in curve
    assert curve.count("<polyline") == 2
