"""Do the measures agree? Presence F1 against mIoU against plan accuracy over all packaged encoders.

Shows: scatter plots of the three figures on the artifacts' cards, and their rank correlations (Spearman).
Run:   python experiments/measures.py       (seconds; writes docs/measures.png, prints the correlations)
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from heist_encoders.zoo import list_artifacts

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "measures.png"
PAIRS = (("presence_f1", "miou"), ("miou", "plan_accuracy"), ("presence_f1", "plan_accuracy"))
NAMES = {"presence_f1": "presence F1 by an MLP", "miou": "mIoU", "plan_accuracy": "plan accuracy"}
COLORS = {"easy": "#0072B2", "memory": "#D55E00", "hard": "#009E73"}


def spearman(xs: list[float], ys: list[float]) -> float:
    """Rank correlation (Spearman 1904): Pearson's correlation of the ranks."""
    import pandas as pd

    return float(pd.Series(xs).rank().corr(pd.Series(ys).rank()))


def main() -> None:
    rows = []
    for artifact in list_artifacts():
        probes = artifact.metrics.get("probes", {})
        if artifact.name == artifact.architecture and all(probes.get(name) is not None for name in NAMES):
            rows.append({"name": artifact.name, "mode": artifact.distribution_mode, **probes})
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    for axis, (x, y) in zip(axes, PAIRS, strict=True):
        said = []
        for mode, color in COLORS.items():
            own = [row for row in rows if row["mode"] == mode]
            if not own:
                continue
            axis.scatter([r[x] for r in own], [r[y] for r in own], color=color, label=mode)
            for row in own:
                axis.annotate(row["name"], (row[x], row[y]), fontsize=7, xytext=(3, 3), textcoords="offset points")
            if len(own) > 2:
                said.append(f"{mode} {spearman([r[x] for r in own], [r[y] for r in own]):+.2f} (n = {len(own)})")
        axis.margins(x=0.2)
        axis.set(xlabel=NAMES[x], ylabel=NAMES[y], title="rank correlation: " + ", ".join(said))
        axis.grid(alpha=0.3)
        axis.locator_params(nbins=6)
        print(f"{NAMES[x]} and {NAMES[y]}: {', '.join(said)}")
    if len({row["mode"] for row in rows}) > 1:
        axes[0].legend(frameon=False, loc="lower left")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
