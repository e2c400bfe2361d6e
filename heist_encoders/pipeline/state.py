"""What a run has done so far: ``run.json`` in its folder, replaced as a whole after each stage."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pydantic
from filelock import FileLock, Timeout

from heist_encoders.config import Config
from heist_encoders.constants import DISTRIBUTION_MODES, EVALUATION_LEVELS
from heist_encoders.errors import ConfigError, unknown_name
from heist_encoders.files import write_atomically
from heist_encoders.json_text import JsonObject, read_json

FILE_NAME = "run.json"
FORMAT_VERSION = 1
MIN_SIZE = 512


class RunOptions(Config):
    """Everything that decides what a run makes. The same folder can only go on with the same options."""

    mode: str = "easy"
    size: int = pydantic.Field(default=20_000, ge=MIN_SIZE, le=100_000_000)
    architectures: tuple[str, ...] = pydantic.Field(min_length=1, strict=False)
    seconds_per_architecture: float = pydantic.Field(default=10.0, gt=0, le=1e7, strict=False)
    train_frames: int = pydantic.Field(default=48_000, ge=0, le=10**12)
    policy_frames: int = pydantic.Field(default=1_000_000, ge=0, le=10**9)
    ppo_steps: int = pydantic.Field(default=0, ge=0, le=10**12)
    evaluation_levels: int = pydantic.Field(default=128, ge=1, le=len(EVALUATION_LEVELS))
    seed: int = pydantic.Field(default=0, ge=0, le=2**31 - 1)

    renamed: ClassVar = {"families": "architectures", "seconds_per_family": "seconds_per_architecture"}

    @pydantic.field_validator("mode")
    @classmethod
    def _known_mode(cls, mode: str) -> str:
        if mode not in DISTRIBUTION_MODES:
            raise unknown_name("distribution mode", mode, DISTRIBUTION_MODES)
        return mode


_DEFAULTS = RunOptions.from_dict({"architectures": ["none"]}).to_dict()
"""Of options that a run of an earlier version did not have."""


class RunState:
    """The stages of a run that are done, with their results. Get one from ``open_state``."""

    def __init__(self, folder: Path, options: RunOptions, stages: dict[str, JsonObject]) -> None:
        self.folder = folder
        self.options = options
        self.stages = stages

    def result(self, stage: str) -> JsonObject | None:
        """The result of a finished stage, None if it is not finished."""
        entry = self.stages.get(stage)
        return None if entry is None else dict(entry["result"])

    def finish(self, stage: str, result: JsonObject, seconds: float) -> None:
        """Record a finished stage on disk. ``result`` must be JSON-serialisable."""
        self.stages[stage] = {"seconds": round(seconds, 2), "result": result}
        self.save()

    def forget(self, stage: str) -> None:
        """Drop a stage whose result is no longer there, and with it the ones that were made from it."""
        kind, _, architecture = stage.partition(":")
        made_from = {
            "data": list(self.stages),
            "sweep": [f"evaluate:{architecture}", "train", "policy", "ppo", "report"],
            "evaluate": ["report"],
            "train": ["policy", "ppo", "report"],
            "policy": ["report"],
            "ppo": ["report"],
        }
        for name in [stage, *made_from.get(kind, [])]:
            self.stages.pop(name, None)
        self.save()

    def save(self) -> None:
        """Write ``run.json`` atomically."""
        data = {"format_version": FORMAT_VERSION, "options": self.options.to_dict(), "stages": self.stages}
        write_atomically(self.folder / FILE_NAME, json.dumps(data, indent=2) + "\n")


@contextlib.contextmanager
def open_state(folder: Path, options: RunOptions) -> Iterator[RunState]:
    """Open the state of the run in ``folder``, or begin one there. Locks the folder against a second run.

    Raises:
        ConfigError: if the folder is a file, holds something else or a run with other options, or is in use.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file, expected a folder; choose another --out")
    path = folder / FILE_NAME
    fresh = not path.exists()
    if fresh and folder.is_dir() and any(item.name != ".lock" for item in folder.iterdir()):
        raise ConfigError(
            f"--out {folder} holds files but no {FILE_NAME}, expected a new folder or one of an earlier run; "
            "choose another --out"
        )
    stages = {} if fresh else _read(path, options)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"another run works in {folder}; wait for it or choose another --out") from None
    with lock:
        state = RunState(folder, options, stages)
        if fresh:
            state.save()
        yield state


def _read(path: Path, options: RunOptions) -> dict[str, JsonObject]:
    try:
        data = read_json(path)
        before = {**_DEFAULTS, **RunOptions.with_new_names(data["options"])}
        stages = dict(data["stages"])
        version = data["format_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path} is damaged, expected the state of a run; delete {path.parent} or choose another --out"
        ) from None
    if version != FORMAT_VERSION:
        raise ConfigError(f"{path} has format {version}, expected {FORMAT_VERSION}; choose another --out")
    for key, value in options.to_dict().items():
        if before.get(key) != value:
            raise ConfigError(
                f"{path.parent} is a run with {key.replace('_', '-')} {_show(before.get(key))}, but "
                f"{_show(value)} was given; give the same options to go on, or choose another --out"
            )
    return stages


def _show(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
