"""The card of a dataset: a README with its spec, hash and counts, and a contact sheet of examples of each stratum."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heist_encoders.constants import VISIBLE
from heist_encoders.data.schema import FRAME, frames_of
from heist_encoders.tasks.base import STRATUM, Task
from heist_encoders.tasks.registry import task_of

if TYPE_CHECKING:
    import pandas as pd

    from heist_encoders.data.dataset import Dataset
    from heist_encoders.data.storage import Storage

README, SHEET = "README.md", "examples.png"
_EXAMPLES, _SCALE = 12, 2


def write_card(dataset: Dataset, storage: Storage) -> None:
    """Write ``README.md`` and ``examples.png`` into the dataset's folder, unless they are there."""
    names = storage.names()
    if README in names and SHEET in names:
        return
    storage.write(SHEET, _contact_sheet(dataset))
    storage.write(README, _text(dataset).encode())


def _rows_by_stratum(task: Task, labels: pd.DataFrame) -> list[tuple[str, NDArray[np.int64]]]:
    if STRATUM not in labels or labels[STRATUM].iloc[0] < 0:
        return [("any", np.arange(len(labels)))]
    strata = labels[STRATUM].to_numpy()
    return [(name, np.flatnonzero(np.isin(strata, group))) for name, group in task.strata_groups.items()]


def _contact_sheet(dataset: Dataset) -> bytes:
    """A PNG, one row of examples a stratum, from the first shard."""
    from PIL import Image, ImageDraw

    chunk = dataset.spec.chunks()[0]
    table = dataset.shard(chunk)
    frames = frames_of(table.select([FRAME]))
    groups = _rows_by_stratum(task_of(dataset.spec.game), table.drop_columns([FRAME]).to_pandas())
    cell, label = 64 * _SCALE + 4, 110
    sheet = Image.new("RGB", (label + _EXAMPLES * cell, len(groups) * cell), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (name, rows) in enumerate(groups):
        draw.text((6, row * cell + cell // 2 - 6), name, fill="black")
        for column, index in enumerate(rows[:_EXAMPLES]):
            picture = Image.fromarray(frames[index]).resize((64 * _SCALE,) * 2, Image.Resampling.NEAREST)
            sheet.paste(picture, (label + column * cell, row * cell + 2))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _text(dataset: Dataset) -> str:
    spec = dataset.spec
    lines = [
        f"# {len(dataset):,} frames of {spec.game}, {spec.distribution_mode} mode, balance `{spec.balance}`",
        "",
        f"Hash: `{dataset.hash}`",
        "",
        f"Train {dataset.rows('train'):,}, test {dataset.rows('test'):,}; the splits share no level.",
        "",
        f"![examples]({SHEET})",
        "",
        "| option | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in spec.to_dict().items()),
        "",
    ]
    if spec.use_backgrounds and spec.distribution_mode == "memory":
        python = "3.10" if sys.version_info < (3, 11) else "3.11 or later"
        lines += [
            f"Made on Python {python}. In memory mode with backgrounds procgen's builds for 3.10 and for later Pythons "
            "draw a few pixels differently (0.01%), so that the hash is the same only among either.",
            "",
        ]
    task = task_of(spec.game)
    if task.elements:
        import pandas as pd

        labels = pd.concat([dataset.labels("train"), dataset.labels("test")], ignore_index=True)
        lines += ["| element | visible (half or more) | partly | absent |", "|---|---|---|---|"]
        for element in task.elements:
            fraction = labels[f"visible_{element}"].to_numpy()
            visible, absent = int((fraction >= VISIBLE).sum()), int((fraction == 0).sum())
            lines.append(f"| {element} | {visible:,} | {len(fraction) - visible - absent:,} | {absent:,} |")
        lines.append("")
        if spec.balance == "elements":
            counts = np.bincount(labels[STRATUM].to_numpy(), minlength=len(task.strata))
            lines += ["| stratum | frames |", "|---|---|"]
            lines += [f"| {name} | {count:,} |" for name, count in zip(task.strata, counts, strict=True)]
            lines.append("")
    lines += ["Open it with `heist_encoders.open_dataset(path)`; check it with `heist-encoders verify path`.", ""]
    return "\n".join(lines)
