"""A dataset that is not on the local disk: in an S3 server on the loopback, through a plain URI."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from heist_encoders.data.dataset import Dataset, open_dataset
from heist_encoders.data.generate import generate
from heist_encoders.data.local import generate_local
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.data.storage import Storage
from heist_encoders.data.verify import repair, verify
from heist_encoders.errors import DatasetError

SPEC = DatasetSpec(size=512, seed=7)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """URI of an empty bucket, with ``{}`` for the folder."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_override": f"{host}:{port}", "scheme": "http", "region": "us-east-1"}
    store = fs.S3FileSystem(access_key="key", secret_key="hidden", allow_bucket_creation=True, **options)
    store.create_dir("bucket")
    query = "&".join(f"{name}={value}" for name, value in options.items())
    yield f"s3://key:hidden@bucket/{{}}?{query}"
    server.stop()


def _names(uri: str) -> list[str]:
    return Storage(uri).names()


def test_generate_verify_read(bucket: str, small_dataset: Dataset) -> None:
    uri = bucket.format("local")
    data = generate_local(SPEC, uri)
    assert data.hash == small_dataset.hash
    assert verify(uri) == []
    found = open_dataset(uri)
    np.testing.assert_array_equal(found.frames("test"), small_dataset.frames("test"))
    assert found.labels("train").equals(small_dataset.labels("train"))
    assert found.path == uri
    assert "hidden" not in repr(found)


def test_ray_workers_write_there(bucket: str, small_dataset: Dataset, ray_local: None) -> None:
    uri = bucket.format("with-ray")
    data = generate(SPEC, uri, workers=2)
    assert data.hash == small_dataset.hash
    assert _names(uri) == sorted(path.name for path in Path(small_dataset.path).iterdir() if path.is_file())
    batch = next(iter(data.ray("test").iter_torch_batches(batch_size=16)))
    np.testing.assert_array_equal(batch["frame"].numpy(), small_dataset.frames("test")[:16])


def test_resume_and_repair(bucket: str, small_dataset: Dataset) -> None:
    uri = bucket.format("mended")
    generate_local(SPEC, uri)
    storage = Storage(uri)
    storage.write("test-000000.parquet", b"other bytes")
    (problem,) = verify(uri)
    assert problem.startswith("test-000000.parquet: truncated or altered")
    mended, made = repair(uri)
    assert (mended.hash, made) == (small_dataset.hash, ["test-000000.parquet"])
    manifest = json.loads(storage.read("manifest.json"))
    manifest["shards"].pop("train-000000.parquet")
    storage.write("manifest.json", json.dumps(manifest).encode())
    storage.write(".writing-abc-train-000000.parquet", b"half")
    assert generate_local(SPEC, uri).hash == small_dataset.hash
    assert verify(uri) == []


def test_command_line(bucket: str, small_dataset: Dataset) -> None:
    uri = bucket.format("cli")
    command = [sys.executable, "-m", "heist_encoders.cli.main"]
    options = ["--size", "512", "--seed", "7", "--workers", "1"]
    done = subprocess.run([*command, "generate", "--out", uri, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*command, "verify", uri], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == small_dataset.hash


def test_mistakes_are_one_line_and_hide_the_secret(bucket: str) -> None:
    with pytest.raises(DatasetError, match="is not a dataset") as caught:
        open_dataset(bucket.format("nothing-here"))
    assert "hidden" not in str(caught.value)
    with pytest.raises(DatasetError, match=r"cannot write to s3://nobucket/x.*give another --out"):
        generate_local(SPEC, bucket.replace("bucket/{}", "nobucket/x"))
