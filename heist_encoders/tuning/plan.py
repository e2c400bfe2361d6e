"""How a sweep was set up (``sweep.json``), and whether a folder may be used for one."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError
from heist_encoders.files import LOCK
from heist_encoders.json_text import JsonObject
from heist_encoders.tuning.results import FORMAT_VERSION, PLAN, SweepResult, load_result, read_plan
from heist_encoders.tuning.sampling import readable
from heist_encoders.tuning.spaces import SearchSpace

if TYPE_CHECKING:
    from heist_encoders.data.dataset import Dataset


def make_plan(space: SearchSpace, dataset: Dataset) -> JsonObject:
    """The content of ``sweep.json``: all that decides a sweep, and the versions it ran with."""
    import ray
    import torch

    from heist_encoders import __version__

    return {
        "format_version": FORMAT_VERSION,
        "space": space.name,
        "autoencoder": space.autoencoder,
        "parameters": {key: readable(value) for key, value in space.parameters.items()},
        "start": [dict(point) for point in space.start],
        "searched": list(space.searched),
        "objective": space.objective.to_dict(),
        "sweep": space.sweep.to_dict(),
        "seed": space.sweep.seed,
        "dataset": {"path": place_of(dataset), "hash": dataset.hash},
        "versions": {
            "heist_encoders": __version__,
            "ray": ray.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def place_of(dataset: Dataset) -> str:
    """Where a dataset lies, for processes with other working folders: an absolute path, or its URI as it is.

    Raises:
        ConfigError: if the URI holds credentials, which a sweep's files would keep.
    """
    place = str(dataset.path)
    if "://" not in place:
        return os.path.abspath(place)
    if re.search(r"://[^/@]*@", place):
        shown = re.sub(r"://[^/@]*@", "://...@", place)
        raise ConfigError(
            f"dataset {shown}: a sweep writes down where its dataset lies, and expects no credentials there; put them "
            "into the environment of all nodes (AWS_ACCESS_KEY_ID, ...)"
        )
    return place


def existing_sweep(folder: Path, plan: JsonObject, resume: bool) -> SweepResult | None:
    """The sweep that lies in ``folder``, None if there is none. Raises ConfigError if it is not the one planned."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out = {folder}: a file is in the way; choose a folder")
    if not folder.is_dir() or all(path.name == LOCK for path in folder.iterdir()):
        return None
    if not (folder / PLAN).is_file():
        raise ConfigError(f"out = {folder}: holds other files and no sweep; choose a new or empty folder")
    if not resume:
        raise ConfigError(f"out = {folder}: holds a sweep already; resume it (--resume) or choose a new folder")
    old = read_plan(folder)
    for key in ("autoencoder", "parameters", "start", "objective", "seed"):
        if old.get(key) != json.loads(json.dumps(plan[key])):
            raise ConfigError(
                f"out = {folder}: holds a sweep with another {key} ({_first_difference(old.get(key), plan[key])}); "
                "resume it with the options it was started with, or choose a new folder"
            )
    if old["dataset"]["hash"] != plan["dataset"]["hash"]:
        raise ConfigError(
            f"out = {folder}: its sweep used the dataset {old['dataset']['hash'][:12]} ({old['dataset']['path']}), not "
            f"{plan['dataset']['hash'][:12]}; give that dataset or choose a new folder"
        )
    return load_result(folder)


def _first_difference(old: object, new: object) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        read: JsonObject = json.loads(json.dumps(new))
        key = next(k for k in {**old, **read} if old.get(k) != read.get(k))
        return f"{key}: {old.get(key)!r} there, {read.get(key)!r} here"
    return f"{old!r} there, {new!r} here"
