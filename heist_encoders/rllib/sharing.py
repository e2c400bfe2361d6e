"""Encoders for nodes that share no disk with the driver: their files travel as bytes through Ray's object store.

Configurations, checkpoints and connectors hold only a reference (name, place, SHA-256 of the weights). The driver gives
the files themselves to one small actor; a process that finds no such weights on its own disk fetches them from there,
checks every hash, and keeps them in its cache below ``HEIST_ENCODERS_HOME``. No file is opened before its hash agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from heist_encoders.errors import ArtifactError
from heist_encoders.ray_session import actor_class
from heist_encoders.zoo.artifact import CARD, CONFIG, METRICS, WEIGHTS, Artifact, keep_artifact
from heist_encoders.zoo.lookup import PACKAGED, add_source, find_artifact

ACTOR: Final = "heist_encoders.artifacts"
"""Name of the actor, in the namespace of the driver's job."""

_TIMEOUT = 120.0
_Files = dict[str, bytes]
_held: list[Any] = []
"""The handle of the actor that this process made: Ray ends an actor whose maker holds it no more."""


class ArtifactStore:
    """The actor: files of artifacts by the SHA-256 of their weights. It needs no CPU and ends with the driver."""

    def __init__(self) -> None:
        self._files: dict[str, _Files] = {}

    def has(self, sha256: str) -> bool:
        """Whether these weights are here."""
        return sha256 in self._files

    def put(self, sha256: str, files: _Files) -> None:
        """Keep an artifact's files, name -> content."""
        self._files[sha256] = files

    def get(self, sha256: str) -> _Files | None:
        """The files of the artifact with these weights, None if they are not here."""
        return self._files.get(sha256)


def share(encoder: str | Path | Artifact | Mapping[str, str]) -> None:
    """Make an encoder available to every node of the Ray cluster that this process is connected to.

    ``ppo_config(...).build_algo()`` does it by itself. Call it for Tune, once in the driver after ``ray.init``.
    Packaged encoders are on every node already.

    Args:
        encoder: name, path or URI of an artifact, an artifact, or its reference.

    Raises:
        UnknownNameError, ArtifactError: if there is no such encoder.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    store: Any = _store()
    if isinstance(encoder, Mapping) and store is not None and ray.get(store.has.remote(encoder["sha256"])):
        return
    artifact = find_artifact(encoder)
    if artifact.path.is_relative_to(PACKAGED):
        return
    if store is None:
        # Hard: the actor lives as long as its maker anyway, and softly it may be put on a node that is lost before.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"name": ACTOR, "get_if_exists": True, "num_cpus": 0, "max_concurrency": 4}
        store = actor_class(ArtifactStore).options(**options, scheduling_strategy=here).remote()
        _held[:] = [store]
    if not ray.get(store.has.remote(artifact.sha256)):
        files = {name: (artifact.path / name).read_bytes() for name in (CARD, CONFIG, METRICS, WEIGHTS)}
        ray.get(store.put.remote(artifact.sha256, files))


def references_of(config: Any) -> list[dict[str, str]]:
    """The references that an AlgorithmConfig of this package holds, in its environment, connector and model."""
    connector = getattr(config, "_env_to_module_connector", None)
    model = config._model_config if isinstance(config._model_config, Mapping) else {}
    found = [
        config.env_config.get("encoder"),
        (getattr(connector, "keywords", None) or {}).get("encoder"),
        model.get("heist_encoder", {}).get("reference"),
    ]
    return [dict(reference) for reference in found if isinstance(reference, Mapping)]


def _store() -> Any:
    """The actor, None without Ray or without one."""
    import ray

    if not ray.is_initialized():
        return None
    try:
        return ray.get_actor(ACTOR)
    except ValueError:
        return None


def fetch_shared(reference: Mapping[str, str]) -> Path | None:
    """The folder of a shared artifact, copied here; None if nobody shared it.

    Raises:
        ArtifactError: if a hash does not agree, or the cache cannot be written.
    """
    import ray

    store = _store()
    if store is None:
        return None
    try:
        files = ray.get(store.get.remote(reference["sha256"]), timeout=_TIMEOUT)
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
        return None
    if files is None:
        return None
    if CONFIG not in files:
        raise ArtifactError(f"the cluster's copy of encoder {reference['name']!r} has no {CONFIG}; share it again")

    def read(name: str) -> bytes:
        if name not in files:
            raise ArtifactError(f"the cluster's copy of encoder {reference['name']!r} has no {name}; share it again")
        return bytes(files[name])

    return keep_artifact(files[CONFIG], read, f"the cluster's copy of encoder {reference['name']!r}")


def placeless(value: Any) -> Any:
    """A value in which references to encoders are their weights' SHA-256: the files may lie elsewhere now."""
    if isinstance(value, Mapping):
        if value.keys() == {"name", "uri", "sha256"}:
            return value["sha256"]
        return {key: placeless(part) for key, part in value.items()}
    return value


add_source(fetch_shared)
