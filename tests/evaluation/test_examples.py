"""The frames that every artifact is shown on."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from heist_encoders.errors import ArtifactError
from heist_encoders.evaluation.examples import EACH, WITHOUT, Examples, choose_examples
from heist_encoders.tasks.heist.elements import ELEMENTS


def test_examples_show_what_they_claim(small_dataset: Any) -> None:
    rows, element = choose_examples(small_dataset)
    again = choose_examples(small_dataset)
    assert np.array_equal(rows, again[0])
    assert np.array_equal(element, again[1])
    visible = small_dataset.visible("test")
    for row, index in zip(rows, element, strict=True):
        assert (visible[row] == 0).all() if index < 0 else visible[row, index] >= 0.5
    counts = np.bincount(element + 1, minlength=len(ELEMENTS) + 1)
    assert counts[0] <= WITHOUT
    assert (counts[1:] > 0).all()
    assert counts.max() <= max(EACH, WITHOUT)
    some = np.arange(0, len(visible), 2)
    assert set(choose_examples(small_dataset, some)[0].tolist()) <= set(some.tolist())


def test_a_game_without_elements_has_frames_spread_evenly(small_dataset: Any) -> None:
    other = SimpleNamespace(spec=SimpleNamespace(game="coinrun"), frames=small_dataset.frames)
    rows, element = choose_examples(other)  # type: ignore[arg-type]
    assert len(set(rows.tolist())) == WITHOUT
    assert set(element.tolist()) == {-1}


def test_examples_come_back_as_they_were(small_dataset: Any, tmp_path: Path) -> None:
    rows, element = choose_examples(small_dataset)
    frames = np.asarray(small_dataset.frames("test"))[rows]
    maps = np.random.default_rng(0).integers(0, 9, (2, len(rows), 16, 16)).astype(np.uint8)
    Examples(rows, element, frames, 255 - frames, maps[0], maps[1]).save(tmp_path / "examples.npz")
    loaded = Examples.load(tmp_path / "examples.npz")
    assert np.array_equal(loaded.reconstructions, 255 - frames)
    assert np.array_equal(loaded.maps, maps[0])
    assert np.array_equal(loaded.read_maps, maps[1])
    assert np.array_equal(loaded.of(0), np.flatnonzero(element == 0))


def test_damaged_examples_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "examples.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frames.npy", bytes(600_000_000))  # 600 KB on disk
    with pytest.raises(ArtifactError, match="expected at most 512,000,000"):
        Examples.load(file)
    for odd in (
        {"rows": np.zeros(3)},
        dict.fromkeys([field.name for field in dataclasses.fields(Examples)], np.zeros(3)),
    ):
        np.savez(file, **odd)
        with pytest.raises(ArtifactError, match=r"holds \{.*'rows': \(3,\).*\}, expected"):
            Examples.load(file)
    for content in (b"", b"PK", file.read_bytes()[:-30]):
        file.write_bytes(content)
        with pytest.raises(ArtifactError, match="is damaged"):
            Examples.load(file)
