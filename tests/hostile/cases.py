"""The kinds of files, each with the function that a user would open them with. Imports are inside: a run needs few."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.mutations import ODD_TEXTS, ODD_YAML, Case, Copies, odd_bytes, odd_json, odd_link, odd_value

_LINKED = 0.03
"""Share of the cases in which a file is a link."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _with_links(random: Random, folder: Path) -> Path:
    if random.random() < _LINKED:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        odd_link(random, random.choice(files), folder.parent / "outside")
    return folder


def yaml_options(root: Path) -> Case:
    """Option files of trainings, datasets, sweeps and PPO."""
    import yaml

    from heist_encoders.config import Config
    from heist_encoders.data.manifest import DatasetSpec
    from heist_encoders.envs.starts import StartOptions
    from heist_encoders.training.config import TrainConfig
    from heist_encoders.tuning.options import SweepOptions
    from heist_encoders.zoo.options import EncoderOptions

    kinds: tuple[type[Config], ...] = (DatasetSpec, SweepOptions, StartOptions, EncoderOptions)
    filled = [TrainConfig(autoencoder="vae_alex"), *(kind() for kind in kinds)]
    valid = [(type(options), yaml.safe_load(options.to_yaml())) for options in filled]
    file = root / "options.yaml"

    def case(random: Random) -> Callable[[], object]:
        kind, options = random.choice(valid)
        way = random.randrange(4)
        few = dict(random.sample(sorted(options.items(), key=str), min(len(options), 4)))
        if way == 0:
            content = yaml.safe_dump(odd_value(random, few)).encode("utf-8", "surrogatepass")
        elif way == 1:
            content = odd_bytes(random, yaml.safe_dump(few).encode())
        elif way == 2:
            content = f"{random.choice(sorted(options))}: {random.choice(ODD_YAML)}".encode()
        else:
            content = random.choice((*ODD_YAML, *ODD_TEXTS[:11])).encode()
        file.write_bytes(content)
        return lambda: kind.from_yaml(file)

    return case


def _dataset(root: Path) -> Copies:
    from heist_encoders.data.local import generate_local
    from heist_encoders.data.manifest import DatasetSpec

    spec = DatasetSpec(size=6, game="maze", balance="basic", distribution_mode="easy", test_fraction=0.4)
    generate_local(spec, root / "dataset")
    return Copies(root / "dataset", root / "case")


def manifests(root: Path) -> Case:
    """A dataset's ``manifest.json``; its shards are whole."""
    from heist_encoders.data.dataset import open_dataset

    copies = _dataset(root)
    valid = copies.json("manifest.json")
    folder = copies.write({})

    def case(random: Random) -> Callable[[], object]:
        (folder / "manifest.json").write_bytes(odd_json(random, valid))
        return lambda: len(open_dataset(folder))

    return case


def shards(root: Path) -> Case:
    """A dataset's shards, whose SHA-256 the manifest has, or its author gave it that of the altered ones."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from heist_encoders.data.dataset import Dataset, open_dataset

    copies = _dataset(root)
    names = [name for name in copies.files if name.endswith(".parquet")]
    valid = copies.json("manifest.json")
    tables = {name: pq.read_table(io.BytesIO(copies.files[name])) for name in names}

    def odd_table(random: Random, table: pa.Table) -> bytes:
        at = random.randrange(table.num_columns)
        name, rows = table.column_names[at], table.num_rows
        other: Any = random.choice(
            (
                pa.nulls(rows),
                pa.array(["x"] * rows),
                pa.array([[1, 2]] * rows),
                pa.array([1e300] * rows),
                pa.array([b"x"] * rows, pa.binary(1)),
                pa.array([None] * rows, table.schema.field(at).type),
                pa.array(np.full(rows, 7)),
                pa.array(["x"] * rows).dictionary_encode(),
                pa.array([{"a": 1}] * rows),
            )
        )
        kind = random.randrange(5)
        if kind == 0:
            table = table.drop_columns([name])
        elif kind == 1:
            table = table.append_column(random.choice(("extra", name, "a\nb")), other)
        elif kind == 2:
            table = table.slice(0, rows - 1) if random.random() < 0.5 else pa.concat_tables([table, table])
        else:
            table = table.set_column(at, name, other)
        sink = io.BytesIO()
        packed = random.choice(("none", "zstd", "snappy"))
        pq.write_table(table, sink, compression=packed, use_dictionary=random.random() < 0.2)
        return sink.getvalue()

    def bomb(table: pa.Table) -> bytes:
        """120 KB on disk; 1 GB if it were read."""
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, table.schema, compression="zstd", use_dictionary=True) as writer:
            many = table.slice(0, 1).take(pa.array(np.zeros(2_000, np.int64)))
            for _ in range(40):
                writer.write_table(many)
        return sink.getvalue()

    bombs = {name: bomb(table) for name, table in tables.items()}

    def read(dataset: Dataset) -> None:
        for split in ("train", "test"):
            assert dataset.labels(split)["level_seed"].dtype == np.int64
            assert dataset.frames(split).shape == (dataset.rows(split), 64, 64, 3)

    def case(random: Random) -> Callable[[], object]:
        name = random.choice(names)
        way = random.random()
        content = (
            bombs[name] if way < 0.02 else odd_table(random, tables[name]) if way < 0.5
            else odd_bytes(random, copies.files[name])
        )  # fmt: skip
        changed = {name: content}
        if random.random() < 0.7:
            manifest = {**valid, "shards": {key: dict(entry) for key, entry in valid["shards"].items()}}
            manifest["shards"][name]["sha256"] = _sha256(content)
            changed["manifest.json"] = json.dumps(manifest).encode()
        folder = _with_links(random, copies.write(changed))
        if random.random() < 0.05:
            (folder / ".decoded").symlink_to(folder.parent / "outside")
        return lambda: read(open_dataset(folder))

    return case


def _altered(random: Random, copies: Copies, weights: str) -> Path:
    """An artifact with another ``config.json``, figures or weights, and mostly with the SHA-256 that fit them."""
    config, changed = copies.json("config.json"), {}
    what = random.randrange(4)
    if what == 0:
        changed[weights] = odd_bytes(random, copies.files[weights])
    elif what == 1:
        changed[weights] = _odd_tensors(random, copies.files[weights])
    elif what == 2:
        changed["metrics.json"] = odd_json(random, copies.json("metrics.json"))
    if changed and random.random() < 0.9:
        config["files"] = {**config["files"], **{name: _sha256(content) for name, content in changed.items()}}
    if what == 3:
        part = random.choice((None, "params", "head", "encoding_shape"))
        if part in config:
            config[part] = odd_value(random, config[part])
            changed["config.json"] = json.dumps(config).encode("utf-8", "surrogatepass")
        else:
            changed["config.json"] = odd_json(random, config)
    else:
        changed["config.json"] = json.dumps(config).encode()
    return _with_links(random, copies.write(changed))


def _odd_tensors(random: Random, content: bytes) -> bytes:
    """A safetensors file with an odd head, or with other tensors."""
    import torch
    from safetensors.torch import load, save

    size = int.from_bytes(content[:8], "little")
    if random.random() < 0.5:
        head = json.dumps(odd_value(random, json.loads(content[8 : 8 + size]))).encode("utf-8", "surrogatepass")
        return len(head).to_bytes(8, "little") + head + content[8 + size :]
    tensors = load(content)
    name = random.choice(sorted(tensors))
    tensor = tensors[name]
    tensors[name] = random.choice(
        (
            tensor.flatten(),
            tensor.to(random.choice((torch.float64, torch.int8, torch.bfloat16, torch.bool, torch.complex64))),
            torch.full_like(tensor, random.choice((0, -1))),
            tensor * float("nan"),
            torch.zeros(3),
            tensor.flatten()[:0].clone(),
        )
    )
    if random.random() < 0.2:
        tensors["extra"] = tensors.pop(name)
    return save(tensors)


def _artifact(root: Path) -> Any:
    from heist_encoders.autoencoders import create_autoencoder
    from heist_encoders.zoo import save_artifact
    from tests.zoo.making import Played

    small = {"channels": [2, 2], "latent_size": 3, "decoder_channels": [2, 2, 2]}
    model = create_autoencoder("conv_maxpool", small)
    return save_artifact(
        root / "small", model, name="small", dataset=Played(), training={"samples": 0}, metrics={"probes": {"mse": 0.5}}
    )


def artifacts(root: Path) -> Case:
    """Artifacts of encoders."""
    from heist_encoders.zoo.artifact import WEIGHTS, load_artifact

    copies = Copies(_artifact(root).path, root / "case")

    def read(folder: Path) -> None:
        artifact = load_artifact(folder)
        model = artifact.load_model()
        assert tuple(model.encoding_shape) == artifact.mean.shape == artifact.std.shape

    def case(random: Random) -> Callable[[], object]:
        return functools.partial(read, _altered(random, copies, WEIGHTS))

    return case


def configs(root: Path) -> Case:
    """``config.json`` of encoders and policies, as a list of the zoo reads them: nothing else is opened."""
    from heist_encoders.policies.artifact import find_policy, load_policy
    from heist_encoders.zoo.artifact import read_artifact, verify

    both = [Copies(_artifact(root).path, root / "case"), Copies(_policy(root), root / "case_policy")]
    for copies in both:
        copies.write({})

    def case(random: Random) -> Callable[[], object]:
        copies = random.choice(both)
        (copies.place / "config.json").write_bytes(odd_json(random, copies.json("config.json")))
        if copies is both[0]:
            return lambda: (read_artifact(copies.place), verify(copies.place))
        return lambda: (find_policy(copies.place), load_policy(copies.place, encoder=root / "small"))

    return case


def _policy(root: Path) -> Path:
    from heist_encoders.policies.artifact import save_policy
    from heist_encoders.policies.heads import HeadConfig, HeadPolicy
    from heist_encoders.policies.policy import Policy

    if not (root / "policy").exists():
        artifact = _artifact(root)
        head = HeadPolicy(artifact.encoding_shape, HeadConfig(kind="mlp", hiddens=[4]))
        policy = Policy(head, artifact, name="mine", normalize=True, training={}, metrics={"a": 1}, backend="torch")
        save_policy(policy, root / "policy")
    return root / "policy"


def policies(root: Path) -> Case:
    """Policies, with their encoder."""
    from heist_encoders.policies.artifact import WEIGHTS, load_policy
    from heist_encoders.zoo.artifact import load_artifact

    copies = Copies(_policy(root), root / "case")
    encoder = load_artifact(root / "small")

    def case(random: Random) -> Callable[[], object]:
        folder = _altered(random, copies, WEIGHTS)
        return lambda: load_policy(folder, encoder=encoder, backend="torch")

    return case


def evaluations(root: Path) -> Case:
    """What an evaluation wrote: its figures, its examples and the losses of the training."""
    import numpy as np

    from heist_encoders.evaluation.entries import read_entry
    from heist_encoders.evaluation.examples import Examples
    from heist_encoders.evaluation.pictures import write_losses

    source = root / "evaluation"
    source.mkdir()
    frames = np.zeros((3, 64, 64, 3), np.uint8)
    maps = np.zeros((3, 8, 8), np.uint8)
    arrays = {"rows": np.arange(3), "element": np.zeros(3, np.int8), "frames": frames, "maps": maps}
    Examples(**arrays, reconstructions=frames, read_maps=maps).save(source / "examples.npz")
    write_losses(source / "metrics.npz", [{"train_loss": 0.5, "epoch": 1.0}, {"train_loss": 0.25, "epoch": 2.0}])
    (source / "metrics.json").write_text(json.dumps({"name": "x", "family": "vae_alex", "mse": 0.5, "game": "heist"}))
    copies = Copies(source, root / "case")

    def odd_arrays(random: Random) -> bytes:
        odd: Any = random.choice(
            (np.zeros(0), np.zeros((2, 2), "c8"), np.array(["x"]), np.zeros(3, "M8[s]"), np.array(3), np.zeros((3, 1)))
        )
        more = {**arrays, "reconstructions": frames, "read_maps": maps}
        more[random.choice((*more, "extra", "../x"))] = odd
        sink = io.BytesIO()
        if random.random() < 0.2:
            np.savez(sink, **{**more, "rows": np.array([print], object)})
        else:
            np.savez_compressed(sink, **more)
        return sink.getvalue()

    def huge(random: Random) -> bytes:
        """A kilobyte whose header says that it is an array of terabytes, or a megabyte of zeros that is a gigabyte."""
        import zipfile

        head = io.BytesIO()
        shape = random.choice(((2**40,), (2**62, 2), (10**5, 10**5)))
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": shape})
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(random.choice(("rows.npy", "frames.npy")), head.getvalue() + bytes(1_000))
        return sink.getvalue()

    def case(random: Random) -> Callable[[], object]:
        name = random.choice(sorted(copies.files))
        way = random.random()
        if name == "metrics.json":
            content = odd_json(random, copies.json(name))
        else:
            content = huge(random) if way < 0.1 else odd_arrays(random) if way < 0.4 else b""
            content = content or odd_bytes(random, copies.files[name])
        folder = _with_links(random, copies.write({name: content}))
        return lambda: read_entry(folder)

    return case


def checkpoints(root: Path) -> Case:
    """Checkpoints of a training."""
    import torch

    from heist_encoders.training.checkpoint import Checkpoint

    source = root / "checkpoint"
    source.mkdir()
    tensors = {"a": torch.zeros(2, 3)}
    Checkpoint(source).save({"epoch": 0}, last=tensors, best=tensors, best_epoch=0)
    copies = Copies(source, root / "case")

    def case(random: Random) -> Callable[[], object]:
        name = random.choice(sorted(copies.files))
        changed = {name: odd_bytes(random, copies.files[name])}
        state = copies.json("checkpoint.json")
        if name.endswith(".json"):
            changed = {name: odd_json(random, state)}
        elif random.random() < 0.8:
            changed[name] = _odd_tensors(random, copies.files[name])
            state["files"][name] = _sha256(changed[name])
            changed["checkpoint.json"] = json.dumps(state).encode()
        folder = _with_links(random, copies.write(changed))
        return lambda: Checkpoint(folder).load()

    return case


def offline(root: Path) -> Case:
    """The oracle's moves as offline data."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from heist_encoders.rllib.offline import check_shards, offline_about

    source = root / "offline"
    source.mkdir()
    reference = {"name": "small", "uri": str(root / "small"), "sha256": "0" * 64}
    about = {"kind": "episodes", "number": 70, "encoder": reference, "distribution_mode": "easy", "normalize": True}
    (source / "offline.json").write_text(json.dumps({**about, "seed": 0}))
    encodings = pa.array([[0.5], [0.25]], pa.list_(pa.float32(), 1))
    rows = {
        "eps_id": ["a", "b"], "t": pa.array([0, 1], pa.int32()), "obs": encodings, "actions": [1, 2],
        "rewards": pa.array([0.0, 1.0], pa.float32()), "terminateds": [False, True], "truncateds": [False, False],
        "new_obs": encodings,
    }  # fmt: skip
    for number in range(2):
        pq.write_table(pa.table(rows), source / f"{number:06d}.parquet", compression="zstd", use_dictionary=False)
    copies = Copies(source, root / "case")

    def read(folder: Path) -> None:
        check_shards(folder, offline_about(folder), 1)
        for file in folder.glob("*.parquet"):
            with contextlib.suppress(OSError, pa.ArrowException):  # Ray Data's
                pq.read_table(file, use_threads=False)

    read(source)

    def case(random: Random) -> Callable[[], object]:
        name = random.choice(sorted(copies.files))
        odd = odd_json(random, copies.json(name)) if name.endswith("json") else odd_bytes(random, copies.files[name])
        folder = _with_links(random, copies.write({name: odd}))
        return lambda: read(folder)

    return case


def states(root: Path) -> Case:
    """States of the engine, played on where they are taken."""
    from heist_encoders.engine import Engine
    from heist_encoders.envs.make import make_env
    from heist_encoders.errors import EngineError

    pairs = []
    for mode in ("easy", "memory"):
        env, pool = make_env(None, distribution_mode=mode), []
        for level in range(6):
            env.reset(options={"level_seed": level})
            for step in range(5 * level):
                env.step(step % 9)
            pool.append(env.get_state())
        pairs.append((env, pool))
    engine = Engine(1)
    engine.load_levels([1])

    def play(env: Any, state: bytes) -> None:
        try:
            engine.set_state(0, state)  # type: ignore[arg-type]
        except EngineError:
            pass
        else:
            raise AssertionError("the engine took bytes from elsewhere")
        env.reset(options={"state": state})
        for action in range(3):
            if any(env.step(action)[2:4]):
                break

    def case(random: Random) -> Callable[[], object]:
        env, pool = random.choice(pairs)
        state = bytes(random.choice(pool))
        if random.random() < 0.5:  # the end of a state is what is looked at; its beginning is generators' texts
            at = random.randrange(2_000)
            state = state[: len(state) - at] + odd_bytes(random, state[len(state) - at :])
        else:
            state = odd_bytes(random, state)
        return lambda: play(env, state)

    return case


FAMILIES: dict[str, Callable[[Path], Case]] = {
    family.__name__: family
    for family in (
        *(yaml_options, manifests, shards, artifacts, configs, policies, evaluations, checkpoints, offline, states),
    )
}
