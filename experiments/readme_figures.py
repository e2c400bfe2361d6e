"""The README's picture and table of encoders, and the page with those of all modes.

Shows: originals beside what each packaged encoder's decoder makes of them, and the figures on the artifacts' cards
       (experiments/packaged_artifacts.py measured them), with BC success from docs/curves.json
       (experiments/ppo_curves.py).
Run:   python experiments/readme_figures.py        (half a minute)
Writes docs/reconstructions.png, docs/encoders.md and the table of easy mode in the README.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from curves.store import published
from pages import put
from PIL import Image, ImageDraw

from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.evaluation.markup import grouped_iou
from heist_encoders.evaluation.pictures import font
from heist_encoders.tasks.heist.elements import ELEMENTS
from heist_encoders.zoo import Artifact, list_artifacts, load_encoder
from heist_encoders.zoo.names import env_id_of

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "reconstructions.png"
PRESENCE = ("map_presence_f1", "presence_f1")
GROUPS = ("agent", "key", "door", "exit")
CLONED = {"untrained": "untrained-grid--floor-", "true_state": "true-state--ceiling-"}
"""Reference -> how the folder of its behaviour cloning is called in docs/curves.json."""
SCALE, GAP, LABEL = 2, 4, 180


def packaged(mode: str) -> list[Artifact]:
    """The packaged artifacts of a distribution mode, the highest mIoU first; at the end those without figures of it."""
    found = [a for a in list_artifacts() if a.name == a.architecture and a.distribution_mode == mode]
    return sorted(found, key=lambda artifact: -(artifact.metrics.get("probes", {}).get("miou") or 0.0))


def picture(mode: str) -> Image.Image:
    """One row of originals, then one row an encoder."""
    artifacts = packaged(mode)
    with tempfile.TemporaryDirectory() as folder:
        spec = DatasetSpec(size=1008, seed=3, test_fraction=0.5, distribution_mode=mode)
        data = generate_local(spec, Path(folder) / "data")
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


def cloned(name: str) -> str:
    """BC success on an encoder of easy mode, as text; a dash where it was not measured."""
    for folder, points in published(ROOT / "docs" / "curves.json").items():
        if re.fullmatch(f"bc--{re.escape(name)}-[0-9a-f]{{8}}", folder):
            return f"{points[-1].figures['success_rate']:.2f}"
    return "–"


def decoded(metrics: Mapping[str, Any]) -> str:
    """Share of the levels that a policy solves which sees reconstructions, as text; a dash where that says nothing."""
    play = metrics.get("play")
    return f"{play['decoded_success']:.2f}" if play else "–"


def table(artifacts: list[Artifact], groups: tuple[str, ...] = GROUPS) -> str:
    """The artifacts whose mIoU was measured, and references, as Markdown.

    Args:
        artifacts: all of one mode.
        groups: of classes whose IoU has a column.
    """
    artifacts = [artifact for artifact in artifacts if artifact.metrics.get("probes")]
    easy = any(artifact.distribution_mode == "easy" for artifact in artifacts)
    head = [
        "name",
        "id",
        "latent dimension",
        "mIoU",
        "untrained",
        "plan accuracy",
        *["BC success", "decoded success"] * easy,
        *groups,
    ]
    head += ["presence F1", "by an MLP", "ms a frame"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for artifact in artifacts:
        probes, iou = artifact.metrics["probes"], grouped_iou(artifact.metrics["probes"])
        untrained = artifact.metrics.get("references", {}).get("untrained")
        cells = [
            artifact.name,
            f"`{env_id_of(artifact.name)}`",
            f"{int(np.prod(artifact.encoding_shape)):,}",
            f"{probes['miou']:.2f}",
            "–" if untrained is None else f"{untrained['miou']:.2f}",
            "–" if probes["plan_accuracy"] is None else f"{probes['plan_accuracy']:.2f}",
            *[cloned(artifact.name.replace("_", "-")), decoded(artifact.metrics)] * easy,
            *(f"{iou[group]:.2f}" for group in groups),
            *(f"{probes[name]:.2f}" for name in PRESENCE),
            f"{artifact.metrics['speed']['cpu']['encoder']['1']['median_ms']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for artifact in artifacts:
        for name, row in artifact.metrics.get("references", {}).items():
            if "miou" in row and (name != "untrained" or artifact.name == "grid"):
                label = f"*{artifact.name}, {name}*" if name == "untrained" else f"*{name.replace('_', ' ')}*"
                plan = "" if row.get("plan_accuracy") is None else f"{row['plan_accuracy']:.2f}"
                iou = grouped_iou(row)
                success = cloned(CLONED[name]) if name in CLONED else ""
                cells = [label, "", "", f"{row['miou']:.2f}", "", plan, *[success, decoded(row)] * easy]
                cells += [f"{iou[group]:.2f}" for group in groups]
                cells += [*(f"{row[name]:.2f}" for name in PRESENCE), ""]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(dict.fromkeys(lines))


def main() -> None:
    picture("easy").save(PICTURE, optimize=True)
    put(ROOT / "README.md", "encoders", table(packaged("easy"), groups=("agent", "key")))
    modes = (f"## {mode.capitalize()} mode\n\n{table(packaged(mode))}" for mode in ("easy", "memory", "hard"))
    put(ROOT / "docs" / "encoders.md", "encoders", "\n\n".join(modes))


if __name__ == "__main__":
    main()
