"""Map probes of a few steps, and one artifact evaluated once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from heist_encoders.evaluation import probing, semantic_probe
from heist_encoders.evaluation.evaluate import evaluate
from heist_encoders.evaluation.semantic_probe import MapProbeSettings
from heist_encoders.zoo.artifact import Artifact
from tests.evaluation.made import make_artifact

_FEW = MapProbeSettings(samples=640, batch_size=64)


@pytest.fixture(scope="package")
def quick_maps() -> Iterator[None]:
    """For tests of what is done with figures, not of the figures: map probes see 640 frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probing, "FAST_MAPS", _FEW)
        for module in (probing, semantic_probe):
            patch.setattr(module, "MapProbeSettings", lambda **others: _FEW)
        yield


@pytest.fixture(scope="package")
def evaluated(
    small_dataset: Any, tmp_path_factory: pytest.TempPathFactory, quick_maps: None
) -> tuple[Artifact, dict[str, Any]]:
    """An artifact, and what ``evaluate`` returned; ``parts`` is what it reported meanwhile."""
    artifact = make_artifact(tmp_path_factory.mktemp("zoo") / "tiny", small_dataset)
    parts: list[str] = []
    metrics = evaluate(artifact, small_dataset, seeds=2, plan_samples=0, progress=parts.append)
    return artifact, {**metrics, "parts": parts}
