"""Encoders and policies to Hugging Face's hub. They come back as ``hf://user/name`` wherever an artifact is taken."""

from __future__ import annotations

import tempfile
from pathlib import Path

from heist_encoders.policies.artifact import ENCODER, is_policy, load_policy, save_policy
from heist_encoders.policies.policy import Policy
from heist_encoders.zoo.artifact import Artifact, copy_artifact
from heist_encoders.zoo.card import LICENSE
from heist_encoders.zoo.hub import SCHEME, check_repository, upload
from heist_encoders.zoo.lookup import find_artifact


def push_to_hub(
    artifact: Artifact | Policy | str | Path,
    repository: str,
    *,
    distribution_mode: str | None = None,
    private: bool = False,
    license: str = LICENSE,
    message: str | None = None,
) -> str:
    """Put an encoder or a policy on the hub; a policy takes its encoder along. Needs the extra ``hub``.

    What is uploaded is a verified copy of the artifact's own files, with a card that says how to load it from there.

    Args:
        artifact: an artifact or a policy, or the name, folder or URI of one.
        repository: ``user/name``; made if there is none.
        distribution_mode: which packaged artifact of a name, as in ``load_encoder`` and ``load_policy``.
        private: make a new repository private.
        license: identifier of the licence on the card.
        message: of the commit.

    Returns:
        ``hf://user/name@<commit>``; ``hf://user/name`` is whatever was pushed there last.

    Raises:
        ConfigError: if ``repository`` is no such name.
        UnknownNameError, ArtifactError: if the artifact isn't found or is damaged, or the hub refuses or can't be
            reached.
        MissingDependencyError: without ``huggingface_hub``.
    """
    repository = check_repository(repository)
    uri = f"{SCHEME}{repository}"
    if isinstance(artifact, str | Path) and is_policy(artifact):
        artifact = load_policy(artifact, distribution_mode=distribution_mode)
    with tempfile.TemporaryDirectory(prefix="heist-encoders-") as temporary:
        folder = Path(temporary) / "artifact"
        if isinstance(artifact, Policy):
            save_policy(artifact, folder, uri=uri, license=license)
            copy_artifact(artifact.artifact, folder / ENCODER, uri=f"{uri}/{ENCODER}", license=license)
            name = artifact.name
        else:
            found = find_artifact(artifact, distribution_mode)
            name = copy_artifact(found, folder, uri=uri, license=license).name
        return upload(folder, repository, private=private, message=message or f"{name}, by heist-encoders")
