"""The report, and the evaluations that it is made of."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from heist_encoders.errors import ArtifactError, ConfigError
from heist_encoders.evaluation.entries import packaged_rows, read_entry
from heist_encoders.evaluation.markup import number
from heist_encoders.evaluation.report import write_report
from heist_encoders.evaluation.sections import facts, verdict
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.zoo.artifact import Artifact, load_artifact, update_metrics
from heist_encoders.zoo.lookup import find_artifact
from tests.evaluation.made import HISTORY, make_artifact


class Page(HTMLParser):
    """Collects tags, attributes and text; counts what was opened and not closed."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

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
    other = {**metrics, "name": "<b>evil</b>", "family": "conv_no_bottleneck"}
    path = write_report(
        [load_artifact(artifact.path), other],
        tmp_path / "deep" / "report.html",
        references=[{"name": "a reference", "miou": 0.123, "presence_f1": 0.456}],
        packaged="easy",
        dataset=small_dataset,
        sweeps={"sweep one": pd.DataFrame([{"trial": 1, "miou": 0.5}, {"trial": 2, "miou": None}])},
        ppo={"curves": {"easy": {"steps": [0, 100, 200], "returns": [0.0, 1.0, 3.0]}}, "text": "PPO & more"},
    )
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert page.open == []
    for text in ("tiny", "<b>evil</b>", "a reference", "majority", "sweep one", "PPO & more", "oracle's", "0.46"):
        assert text in page.text
    assert small_dataset.hash in page.text
    # Nothing is fetched from anywhere: every source is a data URI, and there is no address in the file at all.
    assert not [value for _, name, value in page.attributes if name in ("srcset", "data", "action")]
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    assert {value for _, name, value in page.attributes if name == "href"} <= {f"#{value}" for value in ids}
    sources = [value for _, name, value in page.attributes if name == "src"]
    # Two artifacts, a strip of pictures for each of four rows; the frames again, and each packaged encoder.
    assert len(sources) == 2 * 4 + 1 + len(packaged_rows("easy"))
    assert all(value is not None and value.startswith("data:image/png;base64,") for value in sources)
    for word in ("http:", "https:", "@import", "<script", "<link", "url("):
        assert word not in source
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["report.html"]
    sections = {value for tag, name, value in page.attributes if tag == "section" and name == "id"}
    assert sections == {
        "scenes", "packaged", "leaderboard", "tradeoffs", "probes", "cost", "training", "ppo", "sweeps",
        "dataset", "definitions",
    }  # fmt: skip
    assert metrics["name"] in page.text
    assert "frame: tiny" in [value for tag, name, value in page.attributes if tag == "img" and name == "alt"]
    assert len(re.findall(r'<svg [^>]*role="img"[^>]*>\s*<title>[^<]', source)) == source.count("<svg") == 6


def test_report_ranks_by_miou(tmp_path: Path) -> None:
    entries = [
        {"name": name, "family": "vae_paper", "probes": {"miou": score, "presence_f1": 1 - (score or 0)}}
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


def test_entry_of_an_artifact_takes_its_own_history(evaluated: tuple[Artifact, dict[str, Any]], tmp_path: Path) -> None:
    metrics = evaluated[1]
    artifact = load_artifact(shutil.copytree(evaluated[0].path, tmp_path / "tiny"))
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


def test_the_scenes_come_first_then_the_leaderboard_then_the_cost(
    evaluated: tuple[Artifact, dict[str, Any]], tmp_path: Path
) -> None:
    source = write_report([evaluated[0]], tmp_path / "r.html").read_text()
    assert re.findall(r'<section id="(\w+)"', source)[:3] == ["scenes", "leaderboard", "tradeoffs"]
    scene = Page(source[source.index('<section id="scenes"') : source.index('<section id="leaderboard"')]).text
    rows = [scene.index(row) for row in ("\nframe", "reconstruction", "read from the encoding", "wrong there")]
    assert rows[0] > 0
    strips = re.findall(r'alt="([^"]+): tiny"', source)
    assert strips == ["frame", "reconstruction", "read from the encoding", "wrong there"]


def test_every_wide_thing_scrolls_in_a_box_of_its_own(
    evaluated: tuple[Artifact, dict[str, Any]], tmp_path: Path
) -> None:
    curves = {"easy": {"steps": [0, 100], "returns": [0.0, 1.0]}}
    ppo = {"curves": curves, "table": [{"player": "policy"}]}
    path = write_report([evaluated[0]], tmp_path / "r.html", ppo=ppo, sweeps={"a": [{"trial": 1}]})
    source = path.read_text()
    wide = re.findall(r'<div class="wide">\s*<(table|svg|div class="strip")', source)
    assert wide.count("table") == source.count("<table")
    assert wide.count("svg") == source.count("<svg") > 3
    assert ".wide { overflow-x: auto;" in source


def test_the_same_report_twice_is_the_same_file(evaluated: tuple[Artifact, dict[str, Any]], tmp_path: Path) -> None:
    pages = [write_report([evaluated[0]], tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert pages[0] == pages[1]


def test_references_of_evaluations_are_rows(tmp_path: Path) -> None:
    found = {"untrained": {"miou": 0.2}, "true_state": {"miou": 0.99}, "raw_pixels": {"miou": 0.9}}
    entry = {"name": "mine", "family": "grid", "probes": {"miou": 0.8}, "references": found}
    source = write_report([entry], tmp_path / "r.html").read_text()
    assert re.findall(r'<tr class="reference"><td class="name"><b>([^<]+)', source) == [
        "true state", "raw pixels", "grid, untrained",
    ]  # fmt: skip


def test_a_class_that_is_missed_wholly_counts_as_missed() -> None:
    entries = [
        read_entry({"name": name, "family": "grid", "probes": {"miou": 0.5, "iou": {"floor": 1.0, "key_red": iou}}})
        for name, iou in (("a", 0.0), ("b", 0.4), ("c", 0.9))
    ]
    assert facts(entries)[-1] == ("key", "missed most often: IoU under 0.5 in 2 of 3")


def test_a_policy_beside_a_random_player(tmp_path: Path) -> None:
    part = {
        "num_levels": 4, "return_mean": 7.5, "return_interval": [5, 10], "success_rate": 0.75, "length_mean": 1234.5,
    }  # fmt: skip
    chance = {**part, "return_mean": 2.5, "success_rate": 0.25, "by_num_keys": {}}
    (tmp_path / "film.gif").write_bytes(b"GIF89a")
    policy = {
        "name": "mine", "encoder": "grid", "class": "A <planner>.", "random": chance,
        "policy": {**part, "greedy": True, "by_num_keys": {"1": {**part, "num_levels": 1}}},
        "video": {"path": str(tmp_path / "film.gif"), "level_seed": 5, "num_keys": 2, "length": 30},
    }  # fmt: skip
    path = write_report([{"name": "x", "family": "grid"}], tmp_path / "r.html", policy=policy)
    text = " ".join(Page(path.read_text()).text.split())
    assert "A <planner>. Policy mine on encodings of grid, by its most probable actions" in text
    assert "all levels47.50 (5.00 to 10.00) 75.0%1,234 2.50 (5.00 to 10.00) 25.0%" in text
    assert "1 key17.50 75.0%1,234 – –" in text
    assert "solved in 30 steps" in text
    assert "data:image/gif;base64,R0lGODlh" in path.read_text()
    assert "holds each action" not in text
    policy |= {"video": None, "action_repeat": 4, "single_moves": {**chance, "return_mean": 1.5}}
    held = Page(write_report([{"name": "x", "family": "y"}], path, policy=policy).read_text()).text
    assert "for 4 steps of the game, and so does the random player" in " ".join(held.split())
    assert "has a return of 1.50" in " ".join(held.split())
    assert "No video" in write_report([{"name": "x", "family": "y"}], path, policy=policy).read_text()


def test_verdict() -> None:
    scores = dict(zip(ELEMENTS, (0.95, 0.9, 0.89, 0.5, 0.49, None, 0.0), strict=True))
    assert verdict({"iou": scores}) == {
        "Read": ["blue key (0.95)", "green key (0.90)"],
        "Half read": ["red key (0.89)", "blue door (0.50)"],
        "Missed": ["green door (0.49)", "exit (0.00)"],
    }


def test_packaged_encoders_stand_beside_young_ones(evaluated: tuple[Artifact, dict[str, Any]], tmp_path: Path) -> None:
    rows = {row["name"]: row for row in packaged_rows("easy")}
    card = json.loads((find_artifact("grid", "easy").path / "metrics.json").read_text(encoding="utf-8"))
    assert rows["grid (packaged)"]["miou"] == card["probes"]["miou"]
    assert [row["name"] for row in packaged_rows("hard")] == ["grid (packaged)"], "no others are of this mode"
    assert rows["vae_paper (packaged)"]["presence_f1"] > 0.9
    path = write_report([load_artifact(evaluated[0].path)], tmp_path / "report.html", references=list(rows.values()))
    text = Page(path.read_text(encoding="utf-8")).text
    assert all(name in text for name in rows)
    assert number(card["probes"]["miou"]) in text
