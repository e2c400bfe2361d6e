"""The README's picture and its tables of encoders.

Shows: originals beside what each packaged encoder's decoder makes of them, one frame for each element; and the figures
       on the artifacts' cards (experiments/packaged_artifacts.py measured them).
Run:   python experiments/readme_figures.py        (20 s; writes docs/reconstructions.png, prints the tables)
What came out is the picture and the tables in the README.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.evaluation.pictures import font
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.zoo import Artifact, list_artifacts, load_encoder
from heist_encoders.zoo.names import env_id_of

PICTURE = Path(__file__).parent.parent / "docs" / "reconstructions.png"
SCALE, GAP, LABEL = 2, 4, 180


def packaged(mode: str) -> list[Artifact]:
    """The packaged artifacts of a distribution mode, the most useful first."""
    found = [a for a in list_artifacts() if a.name == a.family and a.distribution_mode == mode]
    return sorted(found, key=lambda artifact: -artifact.metrics["usefulness"]["mlp_f1"])


def picture(artifacts: list[Artifact]) -> Image.Image:
    """One row of originals, then one row an encoder."""
    with tempfile.TemporaryDirectory() as folder:
        data = generate_local(DatasetSpec(size=1008, seed=3, test_fraction=0.5), Path(folder) / "data")
        frames, visible = np.array(data.frames("test")), data.visible("test")
    rows_of: list[int] = []
    for element in range(len(ELEMENTS)):
        rows_of.append(next(int(row) for row in np.flatnonzero(visible[:, element] == 1) if row not in rows_of))
    chosen = frames[rows_of]
    rows = [("original", chosen)]
    for artifact in artifacts:
        name = f"{artifact.name} ({int(np.prod(artifact.encoding_shape))})"
        rows.append((name, load_encoder(artifact, backend="torch").reconstruct(chosen)))
    size = 64 * SCALE
    sheet = Image.new("RGB", (LABEL + len(chosen) * (size + GAP), 20 + len(rows) * (size + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, element in enumerate(ELEMENTS):
        draw.text((LABEL + column * (size + GAP), 2), element, fill="black", font=font(13))
    for row, (name, pictures) in enumerate(rows):
        top = 20 + row * (size + GAP)
        draw.text((4, top + size // 2 - 8), name, fill="black", font=font(13))
        for column, frame in enumerate(pictures):
            tile = Image.fromarray(frame).resize((size, size), Image.Resampling.NEAREST)
            sheet.paste(tile, (LABEL + column * (size + GAP), top))
    return sheet


def table(artifacts: list[Artifact]) -> str:
    """A table of the README, as Markdown."""
    head = "| name | id | numbers | F1, linear probe | F1, MLP probe | keys | doors | exit | next move | ms a frame |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for artifact in artifacts:
        useful = artifact.metrics["usefulness"]
        f1 = {element: figures["mlp_f1"] for element, figures in useful["elements"].items()}
        speed = artifact.metrics["speed"]["cpu"]["encoder"]["1"]["median_ms"]
        groups = [np.mean([v for k, v in f1.items() if k.startswith(part)]) for part in ("key", "door", "exit")]
        lines.append(
            f"| {artifact.name} | `{env_id_of(artifact.name)}` | {int(np.prod(artifact.encoding_shape)):,} "
            f"| {useful['linear_f1']:.2f} | {useful['mlp_f1']:.2f} "
            + "".join(f"| {value:.2f} " for value in groups)
            + f"| {useful['oracle_move_accuracy']:.2f} | {speed:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    artifacts = packaged("memory")
    PICTURE.parent.mkdir(exist_ok=True)
    picture(artifacts).save(PICTURE, optimize=True)
    print(f"memory mode\n\n{table(artifacts)}\n\neasy mode\n\n{table(packaged('easy'))}")


if __name__ == "__main__":
    main()
