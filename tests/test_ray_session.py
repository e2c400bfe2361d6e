"""The Ray that this package starts is for this machine alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Ray may have been imported before, as `heist_encoders.rllib` does, or not.

pytestmark = pytest.mark.ray

SCRIPT = """
import json, os, sys
if sys.argv[1] == "imported":
    import ray
from heist_encoders.ray_session import start_ray
assert start_ray(cpus=2)
import ray
sys.path.insert(0, sys.argv[2])
from processes import descendants

@ray.remote
class Worker:
    def address(self):
        return ray.util.get_node_ip_address()

workers = [Worker.remote() for _ in range(2)]
nodes = {ray.get(worker.address.remote()) for worker in workers}
sockets = {}
for table in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{table}").read().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":  # listening
            sockets[fields[9]] = fields[1].rpartition(":")[0]
found = []
for pid in descendants(os.getpid()):
    try:
        files = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        continue
    found += [sockets[file[8:-1]] for file in files if file.startswith("socket:") and file[8:-1] in sockets]
said = {"nodes": sorted(nodes), "addresses": found}
print(json.dumps({**said, "left": os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")}))
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same in IPv6, and ::1, as /proc/net writes them."""


@pytest.mark.parametrize("ray", ["imported", "not yet"])
def test_a_local_ray_listens_on_loopback_only(ray: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    experiments = Path(__file__).parents[1] / "experiments"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ray, str(experiments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["nodes"] == ["127.0.0.1"]
    assert len(found["addresses"]) >= 3
    assert set(found["addresses"]) <= LOOPBACK
    assert found["left"] is None
