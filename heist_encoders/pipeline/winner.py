"""Names for winners: promote without ever replacing an artifact of somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ArtifactError

if TYPE_CHECKING:
    from heist_encoders.zoo import Artifact


def promote_any(source: str | Path, name: str | None = None, *, overwrite: bool = False) -> Artifact:
    """Promote a sweep's winner or an artifact's folder; a sweep's default name is ``<architecture>-<folder>``.

    Raises:
        ArtifactError, ConfigError: as ``zoo.promote`` and ``tuning.promote_winner`` do, or if ``source`` is neither.
    """
    from heist_encoders.paths import is_uri
    from heist_encoders.tuning import promote_winner
    from heist_encoders.zoo import load_artifact, promote

    if is_uri(source) or not Path(source).is_dir() or (Path(source) / "config.json").is_file():
        artifact = load_artifact(source)
        return promote(artifact, name or artifact.name, overwrite=overwrite)
    return promote_winner(source, name, overwrite=overwrite)


def free_name(name: str, trial_id: str) -> tuple[str, bool]:
    """A name in the user's zoo for the winner that a trial made: ``name``, else ``name-2``, ``name-3`` ...

    Returns:
        The name, and whether it belongs to an artifact that was promoted from exactly this trial before.
    """
    from heist_encoders.paths import user_folders
    from heist_encoders.zoo.artifact import read_artifact
    from heist_encoders.zoo.names import key_of

    taken = {key_of(other): path for other, path in user_folders().items()}
    for count in range(1, 10_000):
        candidate = name if count == 1 else f"{name}-{count}"
        if key_of(candidate) not in taken:
            return candidate, False
        try:
            if read_artifact(taken[key_of(candidate)]).provenance.get("trial_id") == trial_id:
                return candidate, True
        except ArtifactError:
            continue  # a damaged artifact keeps its name
    raise ArtifactError(f"all names from {name} to {name}-9999 are taken; remove some of your artifacts")
