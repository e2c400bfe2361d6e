"""Is a dataset whole, bit for bit? And if not: make exactly the shards again that are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

from heist_encoders.data.card import README, SHEET
from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.manifest import Chunk, Manifest
from heist_encoders.data.shards import MANIFEST, make_shard, read_manifest, write_manifest
from heist_encoders.data.storage import Storage
from heist_encoders.errors import DatasetError


def verify(path_or_uri: str | Path) -> list[str]:
    """Compare every shard's bytes with the manifest.

    Returns:
        One line a problem: shards not made yet, missing, altered, or files that do not belong there. Empty if whole.

    Raises:
        DatasetError: if it is no dataset.

    Examples:
        >>> from heist_encoders.data.verify import verify
        >>> verify("data/heist")
        []
    """
    storage = Storage(path_or_uri)
    manifest = read_manifest(storage)
    problems = [f"{chunk.file}: {what}" for chunk, what in _bad_shards(storage, manifest)]
    known = {chunk.file for chunk in manifest.spec.chunks()} | {MANIFEST, README, SHEET}
    return problems + [f"{name}: does not belong here" for name in storage.names() if name not in known]


def _bad_shards(storage: Storage, manifest: Manifest) -> list[tuple[Chunk, str]]:
    bad: list[tuple[Chunk, str]] = []
    for chunk in manifest.spec.chunks():
        shard = manifest.shards.get(chunk.file)
        if shard is None:
            bad.append((chunk, "not generated yet"))
            continue
        try:
            data = storage.read(chunk.file)
        except FileNotFoundError:
            bad.append((chunk, "missing"))
            continue
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            bad.append((chunk, "truncated or altered: its SHA-256 is not the manifest's"))
    return bad


def repair(path_or_uri: str | Path) -> tuple[Dataset, list[str]]:
    """Generate the missing, truncated and altered shards again, and only those.

    Returns:
        The dataset, and the names of the shards made again.

    Raises:
        DatasetError: if it is no dataset, or if a shard made again has other content than the manifest says (then
            the manifest itself was altered, or another version of the package made the dataset).
    """
    storage = Storage(path_or_uri)
    manifest = read_manifest(storage)
    storage.remove_temporaries()
    made: list[str] = []
    for chunk, _ in _bad_shards(storage, manifest):
        before = manifest.shards.get(chunk.file)
        shard, _ = make_shard(manifest.spec, chunk, storage)
        if before is not None and shard.content != before.content:
            raise DatasetError(
                f"{storage.location}: {chunk.file} made again has other content than the manifest says; the manifest "
                "was altered or another version of heist-encoders (memory mode with backgrounds: another Python, see "
                "the README there) made it: generate into a new folder"
            )
        manifest.shards[chunk.file] = shard
        write_manifest(storage, manifest)
        made.append(chunk.file)
    return open_dataset(path_or_uri), made
