"""Where artifacts are found by name, path or URI: packaged ones first, then the user's."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from heist_encoders.constants import DISTRIBUTION_MODES
from heist_encoders.errors import ArtifactError, HeistEncodersError, unknown_name
from heist_encoders.paths import home, is_uri, user_folders
from heist_encoders.zoo.artifact import CONFIG, PICKLES, Artifact, copy_artifact, load_artifact, read_artifact
from heist_encoders.zoo.names import architecture_of, architectures, check_name, key_of
from heist_encoders.zoo.remote import cache

PACKAGED = Path(__file__).parent / "packaged"
_DEFAULT_MODE = "memory"
_sources: list[Callable[[Mapping[str, str]], Path | None]] = []


def add_source(source: Callable[[Mapping[str, str]], Path | None]) -> None:
    """Ask ``source`` too for references whose weights are not on this machine: it gives a local folder, or None."""
    if source not in _sources:
        _sources.append(source)


def packaged_modes(architecture: str) -> list[str]:
    """The distribution modes of which ``architecture`` has a packaged artifact."""
    return [mode for mode in DISTRIBUTION_MODES if (PACKAGED / architecture / mode / "config.json").is_file()]


def find_artifact(
    reference: str | Path | Artifact | Mapping[str, str], distribution_mode: str | None = None
) -> Artifact:
    """Find and verify an artifact.

    Args:
        reference: an architecture's name or id (always the packaged artifact), a name of the user's, a path, a URI
            (``hf://user/name``, ``file://``, ``s3://``, ``gs://``, whatever pyarrow opens), an artifact, or an
            ``Artifact.reference``.
        distribution_mode: the mode that the artifact must be of; None takes the architecture's ``memory`` artifact, and
            any other whatever its mode.

    Raises:
        UnknownNameError: if nothing answers to the name; offers the nearest names.
        ArtifactError: if it is damaged, or of another mode than asked for.

    Examples:
        >>> from heist_encoders.zoo import find_artifact
        >>> artifact = find_artifact("auto-grid-v0", "easy")
        >>> artifact.name, artifact.distribution_mode, len(artifact.sha256)
        ('grid', 'easy', 64)
    """
    if distribution_mode is not None and distribution_mode not in DISTRIBUTION_MODES:
        raise unknown_name("distribution_mode", distribution_mode, DISTRIBUTION_MODES)
    if isinstance(reference, Mapping):
        artifact = _find_again(reference)
    elif isinstance(reference, Artifact):
        artifact = reference
    elif isinstance(reference, str) and (architecture := architecture_of(reference)):
        return _packaged(architecture, distribution_mode)
    else:
        artifact = _find(reference)
    if distribution_mode is not None and artifact.distribution_mode != distribution_mode:
        raise ArtifactError(
            f"{artifact.name} was trained on {artifact.distribution_mode} frames, asked for {distribution_mode}; "
            f"use distribution_mode={artifact.distribution_mode!r} or an encoder trained on {distribution_mode}"
        )
    return artifact


def _packaged(architecture: str, mode: str | None) -> Artifact:
    wanted, there = mode or _DEFAULT_MODE, packaged_modes(architecture)
    if wanted not in there:
        raise ArtifactError(
            f"no packaged {architecture} of distribution_mode {wanted!r}; packaged: {', '.join(there) or 'none'} "
            f"(train one with heist-encoders train, then heist-encoders promote)"
        )
    return load_artifact(PACKAGED / architecture / wanted)


def _find(reference: str | Path) -> Artifact:
    if isinstance(reference, str):
        if is_uri(reference):
            return load_artifact(reference)
        users = {key_of(name): path for name, path in user_folders().items()}
        if path := users.get(key_of(reference)):
            return load_artifact(path)
        is_path = os.sep in reference or reference.startswith((".", "~")) or Path(reference).exists()
        if not is_path and Path(reference).suffix not in PICKLES:
            raise unknown_name("encoder", reference, [*architectures(), *user_folders()])
    return load_artifact(reference)


def is_place(reference: str) -> bool:
    """Whether ``find_artifact`` takes ``reference`` for a path on this machine, and for no name or URI."""
    return not (is_uri(reference) or architecture_of(reference) or key_of(reference) in map(key_of, user_folders()))


def _find_again(reference: Mapping[str, str]) -> Artifact:
    """Resolve ``Artifact.reference``, maybe on another machine; weights must agree.

    By place, name, further sources and the cache of copies, in this order.

    A URI comes last, because it may be far away. A name is never taken for one: only who gives a URI downloads.
    """
    try:
        name, uri, sha256 = reference["name"], reference["uri"], reference["sha256"]
    except KeyError as error:
        raise ArtifactError(f"an encoder's reference needs name, uri and sha256; {error} is missing") from None
    candidates = [uri] if not is_uri(uri) and Path(uri).exists() else []
    architecture = architecture_of(name)
    if architecture:
        candidates += [str(PACKAGED / architecture / mode) for mode in packaged_modes(architecture)]
    elif not is_uri(name):
        candidates.append(name)
    for candidate in candidates:
        try:
            artifact = load_artifact(candidate) if architecture and candidate != uri else _find(candidate)
        except HeistEncodersError:
            continue
        if artifact.sha256 == sha256:
            return artifact
    for source in _sources:
        if (folder := source(reference)) and (artifact := load_artifact(folder)).sha256 == sha256:
            return artifact
    if (copy := _in_cache(sha256)) is not None:
        return copy
    if is_uri(uri) and (artifact := load_artifact(uri)).sha256 == sha256:
        return artifact
    raise ArtifactError(
        f"encoder {name!r} with weights {sha256[:12]}... is neither at {uri} nor in the zoo of this machine; "
        "copy it there, or call heist_encoders.rllib.share(encoder) in the driver after ray.init"
    )


def _in_cache(sha256: str) -> Artifact | None:
    """The copy of an artifact from elsewhere that has these weights."""
    for file in sorted(cache().glob(f"*/{CONFIG}")):
        try:
            if read_artifact(file.parent).sha256 == sha256:
                return load_artifact(file.parent)
        except HeistEncodersError:
            continue
    return None


def list_artifacts() -> list[Artifact]:
    """All artifacts, packaged first. Weights are not hashed; a damaged one of the user's is left out with a warning."""
    found = [
        read_artifact(PACKAGED / architecture / mode)
        for architecture in architectures()
        for mode in packaged_modes(architecture)
    ]
    for path in user_folders().values():
        try:
            found.append(read_artifact(path))
        except HeistEncodersError as error:
            warnings.warn(str(error), stacklevel=2)
    return found


def promote(
    source: str | Path | Artifact,
    name: str,
    *,
    provenance: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> Artifact:
    """Copy an artifact into the user's zoo; from the next import on it has a gymnasium id, ``<name>-v0`` with dashes.

    Args:
        source: an artifact, its folder, name or URI.
        name: its name in the zoo; an architecture's name is refused.
        provenance: added to the artifact's own.
        overwrite: replace an artifact of that name.

    Raises:
        ConfigError: if the name cannot be used.
        ArtifactError: if the source is damaged or the name is taken.

    Examples:
        >>> from heist_encoders.zoo import promote
        >>> artifact = promote("conv_maxpool", "my-copy", overwrite=True)
        >>> heist_encoders.load_encoder("my-copy").name
        'my-copy'
    """
    check_name(name)
    artifact = find_artifact(source)
    folder = home() / "artifacts" / name
    taken = [other for other in user_folders() if key_of(other) == key_of(name)]
    if taken and (not overwrite or taken != [name]):
        raise ArtifactError(
            f"{home() / 'artifacts' / taken[0]} already exists; choose another name than {name!r}"
            + ("" if taken != [name] else " or say that it may be overwritten")
        )
    return copy_artifact(artifact, folder, name=name, provenance=provenance, replace=overwrite)
