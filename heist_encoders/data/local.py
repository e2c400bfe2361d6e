"""Generate a dataset in this process, without Ray: the same bytes as the workers make."""

from __future__ import annotations

from pathlib import Path

from heist_encoders.data.card import write_card
from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.shards import make_shard, prepare, write_manifest
from heist_encoders.data.storage import Storage


def generate_local(spec: DatasetSpec, out: str | Path) -> Dataset:
    """Generate what is missing of a dataset.

    Args:
        spec: what to generate.
        out: folder or URI.

    Raises:
        DatasetError: if ``out`` holds another dataset or cannot be written to.

    Examples:
        >>> from heist_encoders.data.local import generate_local
        >>> data = generate_local(heist_encoders.DatasetSpec(size=64, game="maze", balance="basic"), "data/maze")
        >>> len(data)
        64
    """
    storage = Storage(out)
    manifest = prepare(spec, storage)
    for chunk in spec.chunks():
        if chunk.file not in manifest.shards:
            manifest.shards[chunk.file], _ = make_shard(spec, chunk, storage)
            write_manifest(storage, manifest)
    dataset = open_dataset(out)
    write_card(dataset, storage)
    return dataset
