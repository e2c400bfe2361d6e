from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch

from heist_encoders.errors import ArtifactError, ResourceError
from heist_encoders.training.checkpoint import Checkpoint

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}


def saved(folder: Path) -> Checkpoint:
    checkpoint = Checkpoint(folder)
    checkpoint.save({"epoch": 0}, last=TENSORS, best={"a": torch.zeros(1)}, best_epoch=0)
    return checkpoint


def test_there_and_back(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path).load() is None
    checkpoint = saved(tmp_path)
    checkpoint.save({"epoch": 1}, last=TENSORS, best={"a": torch.ones(1)}, best_epoch=0)
    loaded = checkpoint.load()
    assert loaded is not None
    state, last, best = loaded
    assert state["epoch"] == 1
    assert all(torch.equal(last[k], TENSORS[k]) for k in TENSORS)
    assert best["a"] == 0, "an epoch's best weights are written once"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best-00000.safetensors",
        "checkpoint.json",
        "last-00001.safetensors",
    ]
    checkpoint.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    checkpoint, path = saved(tmp_path), tmp_path / "last-00000.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ArtifactError, match=r"last-00000.safetensors.*to train anew") as caught:
        checkpoint.load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"format_version": 99, "files": {}})])
def test_a_broken_state_is_noticed(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoint.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"checkpoint\.json cannot be read"):
        Checkpoint(tmp_path).load()


def test_a_state_names_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "here" / "last-").mkdir(parents=True)
    checkpoint, path = saved(tmp_path / "here"), tmp_path / "here" / "last-00000.safetensors"
    path.rename(tmp_path / path.name)
    state = tmp_path / "here" / "checkpoint.json"
    state.write_text(state.read_text().replace(path.name, f"last-/../../{path.name}"))
    with pytest.raises(ArtifactError, match="to train anew"):
        checkpoint.load()


def test_a_kill_before_the_commit_leaves_the_epoch_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import heist_encoders.training.checkpoint as module

    checkpoint, real = saved(tmp_path), module.write_atomically

    def killed(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(module, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epoch": 1}, last={"a": torch.ones(2)}, best={"a": torch.ones(2)}, best_epoch=1)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0]["epoch"] == 0
    assert torch.equal(loaded[1]["a"], TENSORS["a"])


@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_full_disk_leaves_the_epoch_before(write: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the last weights, the best ones or the state."""
    import heist_encoders.files as module

    checkpoint, real, writes = saved(tmp_path), module.sync, 0

    def full(path: Path) -> None:
        nonlocal writes
        writes += path.is_file()
        if writes == write:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    monkeypatch.setattr(module, "sync", full)
    with pytest.raises(ResourceError, match=r"^no room left on the disk to write [^\n]*$"):
        checkpoint.save({"epoch": 1}, last={"a": torch.ones(2)}, best={"a": torch.ones(2)}, best_epoch=1)
    monkeypatch.undo()
    loaded = checkpoint.load()
    assert loaded is not None
    assert (loaded[0]["epoch"], loaded[2]["a"]) == (0, 0)
    assert not list(tmp_path.glob(".*"))
    checkpoint.save({"epoch": 1}, last={"a": torch.ones(2)}, best={"a": torch.ones(2)}, best_epoch=1)
    assert checkpoint.load_best()[0]["epoch"] == 1
