"""What a dataset is (its spec), how it is cut into chunks, and the manifest that says which of them are done."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal

import pydantic
from typing_extensions import Self

from heist_encoders.config import Config
from heist_encoders.constants import DEFAULT_GAME, EVALUATION_LEVELS, GAMES, TEST_LEVELS, TRAIN_LEVELS
from heist_encoders.errors import DatasetError, nearest
from heist_encoders.json_text import parse_json
from heist_encoders.tasks.registry import task_of

SPLITS = ("train", "test")
CHUNK_FRAMES = 1008
"""Frames a chunk: a multiple of Heist's 14 strata, so that each whole chunk is exactly balanced by itself."""
FORMAT_VERSION = 1
LEVEL_RANGES = {"train": TRAIN_LEVELS, "test": TEST_LEVELS, "evaluation": EVALUATION_LEVELS}


class DatasetSpec(Config):
    """All that decides the content of a dataset.

    Attributes:
        game: one of Procgen's 16 games.
        distribution_mode: ``memory`` (default), ``easy`` or ``hard``.
        use_backgrounds: draw textured backgrounds. Off by default.
        size: number of frames, train and test together.
        seed: seed of everything that is drawn.
        balance: the sampling strategy: ``elements`` (equally many frames of each stratum), ``natural`` (frames of
            played games) or ``basic`` (one frame after 10 random moves in a new level, as the original project's plain
            generator).
        policy: who plays with the strategy ``natural``: ``random``, ``oracle`` or ``mixed``. Default: the task's
            ``default_policy``, ``mixed`` in Heist and ``random`` in the other games.
        frames_per_level: mean number of frames drawn from one level with the strategy ``elements``.
        test_fraction: share of the frames that go to the test split, from levels of their own.

    Examples:
        >>> spec = heist_encoders.DatasetSpec(size=1_000, distribution_mode="easy", seed=1)
        >>> spec.balance, spec.test_fraction
        ('elements', 0.1)
        >>> heist_encoders.DatasetSpec.from_dict({"sise": 1_000})
        Traceback (most recent call last):
        heist_encoders.errors.ConfigError: ...sise...
    """

    game: str = DEFAULT_GAME
    distribution_mode: Literal["easy", "hard", "memory"] = "memory"
    use_backgrounds: bool = False
    size: int = pydantic.Field(default=20_000, ge=1, le=10**9)
    seed: int = pydantic.Field(default=0, ge=0, lt=2**31)
    balance: Literal["elements", "natural", "basic"] = "elements"
    policy: Literal["random", "oracle", "mixed"] = "mixed"
    frames_per_level: int = pydantic.Field(default=16, ge=1, le=CHUNK_FRAMES)
    test_fraction: float = pydantic.Field(default=0.1, ge=0.0, lt=1.0)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _default_policy(cls, values: object) -> object:
        if not isinstance(values, dict) or "policy" in values:
            return values
        game = values.get("game")
        if isinstance(game, str) and game in GAMES:
            policy = task_of(game).default_policy
            return values if policy == cls.model_fields["policy"].default else {**values, "policy": policy}
        return values

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.game not in GAMES:
            raise ValueError(f"unknown game {self.game!r:.200}; {nearest(self.game, GAMES)}")
        task = task_of(self.game)
        wrong = []
        if self.balance not in task.strategies:
            wrong.append(f"balance {self.balance!r}; it can have {', '.join(task.strategies)}")
        if self.distribution_mode not in task.modes:
            wrong.append(f"distribution_mode {self.distribution_mode!r}; it has {', '.join(task.modes)}")
        if wrong:
            raise ValueError(f"{self.game} has no " + ", and no ".join(wrong))
        if self.balance == "natural" and self.policy not in task.policies:
            raise ValueError(f"policy {self.policy!r} cannot play {self.game}; it can have {', '.join(task.policies)}")
        return self

    def rows(self, split: str) -> int:
        """Frames of a split (``train`` or ``test``)."""
        test = round(self.size * self.test_fraction)
        return test if split == "test" else self.size - test

    @property
    def num_chunks(self) -> int:
        """How many ``chunks`` there are, without making them."""
        return sum(-(-self.rows(split) // CHUNK_FRAMES) for split in SPLITS)

    def chunks(self) -> list[Chunk]:
        """All chunks, train first."""
        out: list[Chunk] = []
        start = 0
        for split in SPLITS:
            left = self.rows(split)
            number = 0
            while left > 0:
                rows = min(CHUNK_FRAMES, left)
                out.append(Chunk(len(out), split, number, start, rows))
                start += rows
                left -= rows
                number += 1
        return out

    def canonical(self) -> str:
        """The spec as one line of JSON with sorted keys: what enters the dataset's hash."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Chunk:
    """The unit of generation: a pure function of (spec, index).

    Attributes:
        index: number of the chunk in the dataset.
        split: ``train`` or ``test``.
        number: number of the chunk in its split.
        start: number of its first frame in the dataset.
        rows: its number of frames.
    """

    index: int
    split: str
    number: int
    start: int
    rows: int

    @property
    def file(self) -> str:
        """Name of its shard."""
        return f"{self.split}-{self.number:06d}.parquet"


@dataclass
class Shard:
    """A finished shard.

    Attributes:
        rows: number of frames.
        sha256: of the file's bytes, hex; ``verify`` compares it.
        content: SHA-256 of the decoded columns, hex; the same whatever library version wrote the file.
    """

    rows: int
    sha256: str
    content: str


@dataclass
class Manifest:
    """The truth about a dataset folder: its spec and the shards that are done."""

    spec: DatasetSpec
    shards: dict[str, Shard] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True once every chunk has its shard."""
        return len(self.shards) >= self.spec.num_chunks and all(
            chunk.file in self.shards for chunk in self.spec.chunks()
        )

    @property
    def hash(self) -> str:
        """SHA-256 (hex) over the spec and every shard's content.

        Raises:
            DatasetError: if shards are missing.
        """
        if not self.complete:
            done, all_chunks = len(self.shards), self.spec.num_chunks
            raise DatasetError(f"{done} of {all_chunks} shards are done; generate again to finish the dataset")
        digest = hashlib.sha256(self.spec.canonical().encode())
        for chunk in self.spec.chunks():
            digest.update(self.shards[chunk.file].content.encode())
        return digest.hexdigest()

    def to_json(self) -> str:
        """The manifest file's text."""
        content = {
            "format_version": FORMAT_VERSION,
            "spec": self.spec.to_dict(),
            "hash": self.hash if self.complete else None,
            "shards": {name: vars(self.shards[name]) for name in sorted(self.shards)},
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """Read the manifest file's text; ``where`` names it in errors.

        Raises:
            DatasetError: if it is no manifest of this format.
        """
        try:
            content = parse_json(text)
            version = content["format_version"]
            shards = {name: Shard(**entry) for name, entry in content["shards"].items()}
            if not all(
                isinstance(shard.rows, int) and isinstance(shard.sha256, str) and isinstance(shard.content, str)
                for shard in shards.values()
            ):
                raise TypeError
            spec = content["spec"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DatasetError(
                f"{where} is not a dataset's manifest; expected the one that 'heist-encoders generate' writes; if it "
                "was cut or altered, generate into a new folder"
            ) from None
        if version != FORMAT_VERSION:
            raise DatasetError(f"{where} has format version {version!r:.40}; this package reads {FORMAT_VERSION}")
        return cls(DatasetSpec.from_dict(spec, where=where), shards)
