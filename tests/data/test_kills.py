"""Generation that is killed at any of its writes, any number of times: the next call finds a folder that it can go on
from, and the last one makes the dataset that an undisturbed one makes. Property-based, the same cases at each run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heist_encoders.data import shards
from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.storage import _TEMPORARY, Storage
from heist_encoders.data.verify import repair, verify
from heist_encoders.errors import DatasetError

SPEC = DatasetSpec(size=96, seed=4, game="maze", balance="basic", test_fraction=0.5)
CHUNKS = 2
WRITES = 2 * CHUNKS + 3
"""Of a call that makes all: the empty manifest, a shard and a manifest for each chunk, and the card's files."""
MOMENTS = ("before", "half", "after")
kills = st.lists(st.tuples(st.integers(1, WRITES), st.sampled_from(MOMENTS)), max_size=6)
same_cases = settings(
    derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Killed(BaseException):
    """As SIGKILL: nothing that tidies up after errors sees it."""


@pytest.fixture(scope="module", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Frames are drawn once: these tests look at files."""
    drawn: dict[int, shards.Rows] = {}
    draw = shards.draw_chunk
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            shards,
            "draw_chunk",
            lambda spec, chunk: drawn.get(chunk.index) or drawn.setdefault(chunk.index, draw(spec, chunk)),
        )
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate_local(SPEC, tmp_path_factory.mktemp("kills") / "calm")


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield Path(place) / "d"


def killed(out: Path, write: int, moment: str) -> bool:
    """Generate, and die at a write: before it, in the middle of its temporary file, or right after it."""
    count, whole = 0, Storage.write

    def dying(storage: Storage, name: str, data: bytes | memoryview) -> None:
        nonlocal count
        count += 1
        if count == write and moment == "half":
            (out / f"{_TEMPORARY}0123456789ab-{name}").write_bytes(bytes(data)[: len(data) // 2])
        if count == write and moment != "after":
            raise Killed
        whole(storage, name, data)
        if count == write:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "write", dying)
        try:
            generate_local(SPEC, out)
        except Killed:
            return True
    return False


def opened(out: Path) -> tuple[str, str]:
    """The hash of the dataset that opens, or the line that says why none does."""
    try:
        return open_dataset(out).hash, ""
    except DatasetError as error:
        return "", str(error)


@same_cases
@given(kills=kills)
def test_whatever_the_kills_the_dataset_is_the_same(undisturbed: Dataset, kills: list[tuple[int, str]]) -> None:
    with folder() as out:
        for write, moment in kills:
            died = killed(out, write, moment)
            found, error = opened(out)
            assert found == undisturbed.hash or (died and ("unfinished" in error or "is not a dataset" in error))
        assert generate_local(SPEC, out).hash == undisturbed.hash
        assert verify(out) == []
        assert not list(out.glob(f"{_TEMPORARY}*"))


@same_cases
@given(kills=kills.filter(bool), data=st.data())
def test_damage_between_two_runs_is_told_and_mended(
    undisturbed: Dataset, kills: list[tuple[int, str]], data: st.DataObject
) -> None:
    """A file cut or with a flipped bit: an error in one line or a repair, and never another dataset."""
    with folder() as out:
        killed(out, *kills[0])
        files = sorted(path for path in out.glob("[!.]*") if path.suffix in (".parquet", ".json"))
        if not files:
            return
        file = data.draw(st.sampled_from(files))
        content = file.read_bytes()
        at = data.draw(st.integers(0, len(content) - 1))
        flipped = content[:at] + bytes([content[at] ^ data.draw(st.sampled_from([1, 16, 128]))]) + content[at + 1 :]
        file.write_bytes(data.draw(st.sampled_from([content[:at], flipped])))
        try:
            made = generate_local(SPEC, out)
        except DatasetError as error:
            told = str(error)
        else:
            told = ""
        assert "\n" not in told
        if told and "repair it with" not in told:  # a manifest that is none any more, or another dataset's
            assert file.name == "manifest.json"
            return
        if told or verify(out):
            made, _ = repair(out)
        assert verify(out) == []
        assert made.hash == undisturbed.hash


def test_a_manifest_is_of_this_folder_or_of_none(undisturbed: Dataset, tmp_path: Path) -> None:
    """Shards that the manifest names and that are gone are made again."""
    out = Path(shutil.copytree(undisturbed.path, tmp_path / "d"))
    for shard in out.glob("*.parquet"):
        shard.unlink()
    assert generate_local(SPEC, out).hash == undisturbed.hash
    assert verify(out) == []


@pytest.mark.parametrize("attempt", range(8))
def test_two_runs_in_one_folder(attempt: int, undisturbed: Dataset, tmp_path: Path) -> None:
    """Each makes the dataset or says in a line why not; nothing wrong is left."""

    def run(_: int) -> str:
        try:
            return generate_local(SPEC, tmp_path / "d").hash
        except DatasetError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        told = [result for result in pool.map(run, range(2)) if result != undisturbed.hash]
    assert all("\n" not in line for line in told)
    assert generate_local(SPEC, tmp_path / "d").hash == undisturbed.hash
    assert verify(tmp_path / "d") == []
