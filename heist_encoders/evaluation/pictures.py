"""Pictures: originals beside reconstructions, a loss graph, and the losses as numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heist_encoders.evaluation.files import temporary_sibling
from heist_encoders.evaluation.frames import Frames

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.ImageFont import FreeTypeFont

History = Sequence[Mapping[str, object]]
"""One mapping an epoch, as ``EpochReport`` has them: epoch, train_loss, test_loss, mse, kl, ..."""


_LOSSES = {"train_loss": "train", "test_loss": "test", "mse": "MSE, all pixels"}


def font(size: int) -> FreeTypeFont:
    """Matplotlib's DejaVu Sans for PIL, ``size`` pixels high: the same letters on every machine."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def png_bytes(image: npt.NDArray[np.uint8]) -> bytes:
    """uint8 (H, W, 3) -> a PNG file's bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def reconstruction_grid(
    originals: Frames, reconstructions: Frames, *, columns: int = 8, scale: int = 2, gap: int = 4
) -> npt.NDArray[np.uint8]:
    """Strips of originals, each with the reconstructions right below.

    Args:
        originals, reconstructions: uint8 (N, H, W, 3).
        columns: pairs a strip. scale: screen pixels a pixel. gap: white pixels between pictures.

    Returns:
        uint8 (height, width, 3).
    """
    count, height, width = originals.shape[:3]
    columns = min(columns, max(1, count))
    strips = -(-count // columns)
    high, wide = height * scale, width * scale
    strip = 2 * high + gap // 2 + 3 * gap
    sheet = np.full((max(1, strips) * strip, columns * (wide + gap) - gap, 3), 255, np.uint8)
    for i in range(count):
        top, left = i // columns * strip, i % columns * (wide + gap)
        for row, picture in enumerate((originals[i], reconstructions[i])):
            y = top + row * (high + gap // 2)
            sheet[y : y + high, left : left + wide] = picture.repeat(scale, 0).repeat(scale, 1)
    return sheet


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write uint8 (H, W, 3) as a PNG, whole or not at all."""
    with temporary_sibling(path) as temporary:
        temporary.write_bytes(png_bytes(image))


def history_arrays(history: History) -> dict[str, npt.NDArray[np.float64]]:
    """Every number that the epochs report, as float64 (epochs,); NaN where an epoch has none."""
    names = {key for row in history for key, value in row.items() if isinstance(value, int | float)}
    return {
        name: np.array([float("nan") if row.get(name) is None else row[name] for row in history], np.float64)
        for name in sorted(names)
    }


def write_losses(path: Path, history: History) -> None:
    """Write ``metrics.npz``: ``history_arrays`` as numpy arrays, readable without pickle."""
    arrays = history_arrays(history)
    with temporary_sibling(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def loss_figure(
    history: History, names: Sequence[str] = ("train_loss", "test_loss", "mse"), *, width: int = 360, height: int = 230
) -> Figure:
    """A chart of losses per epoch, counted from 1; the axis is logarithmic if all are positive.

    Args:
        names: of the losses; those that no epoch has are left out. width, height: CSS pixels.
    """
    from heist_encoders.evaluation.charts import lines

    arrays = history_arrays(history)
    shown = {name: arrays[name] for name in names if name in arrays and np.isfinite(arrays[name]).any()}
    log = all(np.nanmin(values) > 0 for values in shown.values())
    epochs = list(range(1, len(history) + 1))
    series = {_LOSSES.get(name, name): (epochs, values.tolist()) for name, values in shown.items()}
    figure = lines(series, x_label="epoch", y_label="loss", log=log, width=width, height=height)
    figure.axes[0].set_xlim(0.5, len(history) + 0.5)
    return figure


def loss_graph(path: Path, history: History, title: str) -> None:
    """Plot train and test loss (and the reconstruction's MSE, if known) per epoch as a PNG."""
    figure = loss_figure(history, width=672, height=403)
    figure.axes[0].set_title(title)
    with temporary_sibling(path) as temporary:
        figure.savefig(temporary, dpi=120, facecolor="white")
