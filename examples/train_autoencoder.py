"""Train an autoencoder, keep it as an artifact, and encode frames with it.

python examples/train_autoencoder.py
"""

from __future__ import annotations

from pathlib import Path

import heist_encoders
from heist_encoders.zoo import load_encoder, save_artifact


def main(out: str | Path = "runs/example", data: str | Path | None = None, seconds: float = 120.0) -> Path:
    """Train for some time on a dataset (None: a small one is generated); returns the artifact's folder."""
    out = Path(out)
    if data is None:
        dataset = heist_encoders.generate(heist_encoders.DatasetSpec(size=8_192, seed=0), out / "data")
    else:
        dataset = heist_encoders.open_dataset(data)
    config = {"autoencoder": "grid", "learning_rate": 2e-3, "max_seconds": seconds, "epoch_samples": 2_048}
    result = heist_encoders.train(
        config,
        dataset,
        out=out / "training",  # run it again, and it goes on at the last finished epoch
        callback=lambda epoch: print(f"epoch {epoch.epoch + 1}: test loss {epoch.test_loss:.5f}"),
    )
    artifact = save_artifact(out / "artifact", result, name="my-grid", dataset=dataset, training=result.record())
    encoder = load_encoder(artifact.path)
    print(f"{artifact.path}: encodings {encoder.encode(dataset.frames('test')[:8]).shape}")
    return artifact.path


if __name__ == "__main__":
    main()
