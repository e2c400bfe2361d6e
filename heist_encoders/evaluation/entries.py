"""Evaluations as the report needs them, read from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from heist_encoders.constants import DEFAULT_GAME
from heist_encoders.deprecation import warn_of_old_name
from heist_encoders.errors import ArtifactError
from heist_encoders.evaluation.evaluate import EXAMPLES, LOSSES, METRICS, output_folder
from heist_encoders.evaluation.examples import Examples
from heist_encoders.evaluation.figures import Metrics
from heist_encoders.evaluation.files import read_npz
from heist_encoders.evaluation.frames import Frames
from heist_encoders.json_text import JsonObject, read_json
from heist_encoders.paths import user_path
from heist_encoders.zoo.artifact import CONFIG, Artifact, read_artifact


@dataclass(frozen=True)
class Entry:
    """One evaluated artifact, as the report needs it.

    Attributes:
        name, architecture: of the artifact.
        metrics: what ``evaluate`` returned.
        examples: frames and reconstructions, None if the evaluation's folder isn't there.
        history: its training, one mapping an epoch; may be empty.
        game: that it was trained on.
        note: a caveat of its architecture (``BaseAutoencoder.note``); may be empty.
    """

    name: str
    architecture: str
    metrics: Metrics
    examples: Examples | None = None
    history: list[JsonObject] = field(default_factory=list)
    game: str = DEFAULT_GAME
    note: str = ""

    @property
    def family(self) -> str:
        """The old name of ``architecture``."""
        warn_of_old_name("Entry.family", "Entry.architecture")
        return self.architecture


Evaluated: TypeAlias = "Artifact | Metrics | Entry | str | Path"
"""An evaluation: see ``read_entry``."""


def read_entry(source: Evaluated) -> Entry:
    """Read an evaluation.

    Args:
        source: an ``Artifact`` that has been evaluated into its folder, what ``evaluate`` returned, an ``Entry``, or
            the path of an evaluation's folder or of an artifact.

    Raises:
        ArtifactError: if there is no evaluation.
    """
    if isinstance(source, Entry):
        return source
    history: list[JsonObject] = []
    if isinstance(source, Mapping):
        metrics = source
        folder = Path(source["folder"]) if source.get("folder") else None
    else:
        folder, artifact = _place(source)
        try:
            metrics = read_json(folder / METRICS)
        except (OSError, ValueError):
            raise ArtifactError(
                f"{folder} holds no evaluation ({METRICS} is missing or damaged); run heist-encoders evaluate first"
            ) from None
        history = list(artifact.training.get("history") or []) if artifact is not None else []
    if not isinstance(metrics, Mapping) or "name" not in metrics:
        where = folder or "the mapping"
        raise ArtifactError(f"{where} holds no figures of an evaluation; run heist-encoders evaluate first")
    examples = None
    if folder is not None and (folder / EXAMPLES).is_file():
        examples = Examples.load(folder / EXAMPLES)
    if folder is not None and not history:
        history = _read_losses(folder / LOSSES)
    architecture = str(metrics.get("family", ""))
    game = str(metrics.get("game", DEFAULT_GAME))
    return Entry(str(metrics["name"]), architecture, metrics, examples, history, game, _note(architecture))


def _note(architecture: str) -> str:
    from heist_encoders.autoencoders.registry import autoencoder_class
    from heist_encoders.errors import UnknownNameError

    try:
        return autoencoder_class(architecture).note
    except UnknownNameError:  # of somebody's own, not registered here
        return ""


def _place(source: str | Path | Artifact) -> tuple[Path, Artifact | None]:
    """The folder with the evaluation, and the artifact if ``source`` is one."""
    if isinstance(source, str | Path):
        source = user_path(source)
        if not (source / CONFIG).is_file():
            return source, None
        source = read_artifact(source)
    # evaluate()'s own place has pictures too, unless they are of other weights that once had this name.
    place = output_folder(source, None)
    try:
        same = read_json(place / METRICS).get("sha256") == source.sha256
    except (OSError, ValueError, AttributeError):
        same = False
    return place if same else source.path, source


def _read_losses(path: Path) -> list[JsonObject]:
    if not path.is_file():
        return []
    arrays = read_npz(path)
    if any(values.ndim != 1 or values.dtype.kind not in "fiu" for values in arrays.values()):
        raise ArtifactError(f"{path} holds more than numbers of epochs; run heist-encoders evaluate again")
    columns = {name: values.tolist() for name, values in arrays.items()}
    length = min((len(values) for values in columns.values()), default=0)
    return [{name: values[i] for name, values in columns.items()} for i in range(length)]


def find_evaluations(folder: str | Path) -> list[Path]:
    """Every folder under ``folder`` (itself included) that holds an evaluation, sorted."""
    found = (path.parent for path in user_path(folder).rglob(METRICS) if (path.parent / EXAMPLES).is_file())
    return sorted(found)


def packaged_reconstructions(distribution_mode: str, frames: Frames) -> dict[str, Frames]:
    """What the packaged encoders of a mode make of some frames: architecture -> reconstructions, as ``frames``.

    Args:
        distribution_mode: of the packaged encoders.
        frames: uint8 (N, 64, 64, 3).
    """
    from heist_encoders.zoo.encoder import load_encoder
    from heist_encoders.zoo.lookup import packaged_modes
    from heist_encoders.zoo.names import architectures

    return {
        name: load_encoder(name, distribution_mode=distribution_mode, backend="torch").reconstruct(frames)
        for name in architectures()
        if distribution_mode in packaged_modes(name)
    }


def packaged_rows(distribution_mode: str) -> list[JsonObject]:
    """What the packaged encoders of a mode keep, from the figures on their cards: nothing is evaluated.

    Returns:
        Rows for ``write_report(references=)``, each named ``<architecture> (packaged)``. Cards of version 0.1 have the
        presence F1 alone.
    """
    from heist_encoders.zoo.lookup import PACKAGED, packaged_modes
    from heist_encoders.zoo.names import architectures

    rows: list[JsonObject] = []
    for name in architectures():
        if distribution_mode not in packaged_modes(name):
            continue
        metrics = read_json(PACKAGED / name / distribution_mode / METRICS)
        old = metrics.get("usefulness") or {}
        probes = metrics.get("probes") or {"presence_f1": old.get("mlp_f1"), "linear_presence_f1": old.get("linear_f1")}
        size = metrics.get("latent_dimension", metrics.get("encoding_size"))
        rows.append(
            {**probes, "name": f"{name} (packaged)", "speed": metrics.get("speed") or {}, "latent_dimension": size}
        )
    return rows
