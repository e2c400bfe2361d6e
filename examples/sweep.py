"""Search hyperparameters with Ray Tune; the best encoder gets a name and, with it, a gymnasium id.

python examples/sweep.py
"""

from __future__ import annotations

from pathlib import Path

import heist_encoders
from heist_encoders.tuning import promote_winner, sweep


def main(out: str | Path = "runs/sweep", data: str | Path | None = None, preset: str = "quick") -> str:
    """Sweep conv_maxpool on a dataset (None: a small one is generated); returns the name of the best encoder."""
    out = Path(out)
    if data is None:
        data = out / "data"
        heist_encoders.generate(heist_encoders.DatasetSpec(size=8_192, seed=0), data)
    result = sweep("conv_maxpool", data, out=out / "sweep", preset=preset, resume=(out / "sweep").exists())
    print(result.table[["rank", "status", "miou", "latency_ms", "learning_rate"]].to_string(index=False))
    artifact = promote_winner(result, "conv_maxpool-example")
    print(f"gym.make('heist_encoders:{artifact.name}-v0') in the next Python")
    return artifact.name


if __name__ == "__main__":
    main()
