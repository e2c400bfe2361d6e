"""A dataset's frames in the layout of the original project."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ResourceError
from heist_encoders.files import whole_file

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset

FILES = {"train": "training.npy", "test": "test.npy"}
_CHUNK = 4096


def export_npy(dataset: Dataset, folder: Path) -> list[tuple[Path, tuple[int, ...]]]:
    """Write ``training.npy`` and ``test.npy``, uint8 (N, 64, 64, 3), RGB. Each is whole or absent at any moment.

    Returns:
        Path and shape of each file.

    Raises:
        ResourceError: if the disk has no room for them.
    """
    from numpy.lib.format import open_memmap

    folder.mkdir(parents=True, exist_ok=True)
    splits = {split: dataset.frames(split) for split in FILES}
    needed = sum(frames.nbytes for frames in splits.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{folder} has {free / 1e9:.1f} GB free, the frames take {needed / 1e9:.1f} GB; choose another disk"
        )
    written = []
    for split, frames in splits.items():
        path = folder / FILES[split]
        with whole_file(path) as temporary:
            target = open_memmap(  # type: ignore[no-untyped-call]
                temporary, mode="w+", dtype=frames.dtype, shape=frames.shape
            )
            for start in range(0, len(frames), _CHUNK):
                target[start : start + _CHUNK] = frames[start : start + _CHUNK]
            target.flush()
            del target
        written.append((path, tuple(frames.shape)))
    return written
