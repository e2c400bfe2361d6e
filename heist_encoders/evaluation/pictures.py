"""Pictures: originals beside reconstructions, a loss graph, and the losses as numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heist_encoders.evaluation.files import temporary_sibling
from heist_encoders.evaluation.frames import Frames

History = Sequence[Mapping[str, Any]]
"""One mapping an epoch, as ``EpochReport`` has them: epoch, train_loss, test_loss, mse, kl, ..."""


def font(size: int) -> Any:
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
    arrays: dict[str, Any] = dict(history_arrays(history))
    with temporary_sibling(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def loss_graph(path: Path, history: History, title: str) -> None:
    """Plot train and test loss (and the reconstruction's MSE, if told) per epoch, log scale, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    arrays = history_arrays(history)
    epochs = np.arange(1, len(history) + 1, dtype=np.float64)
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = (("train_loss", "train loss", "#0072B2", "-"), ("test_loss", "test loss", "#D55E00", "-"))
    for name, label, color, style in (*lines, ("mse", "MSE, all pixels", "#009E73", "--")):
        if name in arrays and np.isfinite(arrays[name]).any():
            axes.plot(epochs, arrays[name], style, color=color, label=label, marker="." if len(epochs) < 40 else "")
    values = [arrays[n][np.isfinite(arrays[n])] for n in ("train_loss", "test_loss") if n in arrays]
    if values and min((v.min() for v in values if v.size), default=0) > 0:
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    axes.set_xlim(0.5, len(history) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
    with temporary_sibling(path) as temporary:
        figure.savefig(temporary)
