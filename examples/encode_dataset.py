"""Generate a labelled dataset, encode it, and save encodings and labels for a study of your own.

python examples/encode_dataset.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import heist_encoders


def main(out: str | Path = "runs/encoded", size: int = 4_096, workers: int | None = None) -> Path:
    """Write ``encodings.npy`` (float32, a row a frame) and ``labels.csv`` (the same rows); returns the folder."""
    out = Path(out)
    spec = heist_encoders.DatasetSpec(size=size, distribution_mode="memory", seed=0)
    dataset = heist_encoders.generate(spec, out / "data", workers=workers)  # Ray; goes on if it was interrupted
    encoder = heist_encoders.load_encoder("vae_paper", distribution_mode="memory")
    encodings = encoder.encode(dataset.frames("test"))
    labels = dataset.labels("test")
    np.save(out / "encodings.npy", encodings)
    labels.to_csv(out / "labels.csv", index=False)
    seen = labels["visible_key_blue"] > 0.5
    apart = np.abs(encodings[seen].mean(0) - encodings[~seen].mean(0)) / encodings.std(0)
    print(f"{encodings.shape}; with a blue key in view, dimension {apart.argmax()} differs most: {apart.max():.2f} sd")
    return out


if __name__ == "__main__":
    main()
