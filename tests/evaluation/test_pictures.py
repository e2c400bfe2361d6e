"""Pictures and films are what they should be, pixel for pixel where that can be said."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from heist_encoders.errors import ConfigError, MissingDependencyError
from heist_encoders.evaluation import pictures, video

HISTORY = [
    {"epoch": 0, "train_loss": 0.5, "test_loss": 0.6, "mse": 0.1, "note": "first"},
    {"epoch": 1, "train_loss": 0.4, "test_loss": None, "mse": 0.09},
]


def test_grid_puts_each_reconstruction_under_its_original() -> None:
    originals = np.stack([np.full((4, 4, 3), v, np.uint8) for v in (10, 20, 30)])
    copies = originals + 100
    sheet = pictures.reconstruction_grid(originals, copies, columns=2, scale=2, gap=4)
    assert sheet.shape == (2 * (2 * 8 + 2 + 12), 2 * 12 - 4, 3)
    assert sheet[0, 0, 0] == 10
    assert sheet[10, 0, 0] == 110
    assert sheet[0, 12, 0] == 20
    assert sheet[30, 0, 0] == 30
    assert sheet[40, 0, 0] == 130
    assert sheet[8, 0, 0] == 255


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    pictures.write_png(tmp_path / "deep" / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "deep" / "a.png")), image)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(pictures.png_bytes(image)))), image)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.png"]


def test_losses_as_npz_and_graph(tmp_path: Path) -> None:
    pictures.write_losses(tmp_path / "metrics.npz", HISTORY)
    with np.load(tmp_path / "metrics.npz", allow_pickle=False) as data:
        assert set(data.files) == {"epoch", "train_loss", "test_loss", "mse"}
        assert data["train_loss"].tolist() == [0.5, 0.4]
        assert np.isnan(data["test_loss"][1])
    pictures.loss_graph(tmp_path / "loss.png", HISTORY, "a title")
    assert Image.open(tmp_path / "loss.png").size[0] > 400


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_axis_of_a_loss_graph_begins_at_the_first_epoch(
    epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    history = [{"epoch": i, "train_loss": 0.1, "test_loss": 0.2} for i in range(epochs)]
    pictures.loss_graph(tmp_path / "loss.png", history, "a title")
    axes = figures[0].axes[0]
    assert axes.get_xlim() == (0.5, epochs + 0.5)
    assert axes.lines[0].get_xdata().tolist() == list(range(1, epochs + 1))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_film(tmp_path: Path, suffix: str) -> None:
    frames = np.zeros((6, 33, 40, 3), np.uint8)  # odd height
    frames[3:] = 200
    path = video.write_video(tmp_path / f"film{suffix}", frames, fps=6)
    if suffix == ".gif":
        with Image.open(path) as film:
            assert film.size == (40, 33)
    else:
        command = [video.ffmpeg_executable(), "-loglevel", "error", "-i", str(path)]
        raw = subprocess.run(
            [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"], capture_output=True, check=True
        ).stdout
        shown = np.frombuffer(raw, np.uint8).reshape(-1, 32, 40, 3)
        assert len(shown) == 6
        assert shown[0].mean() < 5
        assert abs(float(shown[5].mean()) - 200) < 5
    assert len(list(tmp_path.iterdir())) == 1


def test_film_refuses_what_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"must end in .mp4 or .gif"):
        video.write_video(tmp_path / "film.avi", frames)
    with pytest.raises(ConfigError, match="needs uint8 frames"):
        video.write_video(tmp_path / "film.mp4", frames.astype(np.float32))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    with pytest.raises(MissingDependencyError, match="could not write an mp4"):
        video.write_video(tmp_path / "film.mp4", frames)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot write"):
        video.write_video(tmp_path / "file" / "film.gif", frames)


def test_played_frames_show_a_game_that_moves() -> None:
    frames = video.played_frames("heist", "memory", False, steps=12)
    assert frames.shape == (12, 64, 64, 3)
    assert len({frame.tobytes() for frame in frames}) > 6
    assert np.array_equal(frames, video.played_frames("heist", "memory", False, steps=12))
