"""The checks of ``heist-encoders doctor``. What could crash or hang runs in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from heist_encoders.json_text import JsonObject
from heist_encoders.ray_session import cpu_count

GIB = 2**30


class Check(NamedTuple):
    """One line of the doctor's findings."""

    name: str
    status: str
    """``ok``, ``note`` (all works, but something could be better) or ``problem`` (an essential does not work)."""
    summary: str
    remedy: str = ""
    details: Mapping[str, object] = MappingProxyType({})


def all_checks(timeout: float = 120.0) -> Iterator[Check]:
    """Run every check, one after the other, each yielded when it is done."""
    yield python()
    yield processor()
    yield memory()
    yield disk()
    yield procgen(timeout)
    yield torch(timeout)
    yield gpu(timeout)
    yield arrays(timeout)
    yield ray(timeout)
    yield openvino(timeout)
    yield video(timeout)


def python() -> Check:
    """Python 3.10 to 3.12: procgen's wheels exist for no other."""
    version = platform.python_version()
    summary = f"{version} at {sys.executable}"
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Check("Python", "ok", summary)
    return Check("Python", "problem", summary, "install Python 3.10, 3.11 or 3.12: procgen has no wheel for others")


def processor() -> Check:
    """Cores, and the instructions that make encoders fast."""
    cores = cpu_count()
    flags = set(re.findall(r"\w+", _first_line("/proc/cpuinfo", "flags")))
    wanted = {"avx2": "avx2", "avx512": "avx512f", "bf16": "avx512_bf16", "amx": "amx_tile"}
    has = {name: flag in flags for name, flag in wanted.items()}
    model = _first_line("/proc/cpuinfo", "model name").partition(":")[2].strip() or platform.processor()
    machine = platform.machine()
    details = {"cores": cores, "model": model, "machine": machine, **has}
    summary = f"{cores} cores, {model or machine}, " + (", ".join(n for n in has if has[n]) or "no vector extensions")
    if machine not in ("x86_64", "AMD64"):
        return Check("CPU", "problem", summary, f"procgen's wheels are for x86-64, not {machine}", details)
    if cores < 2:
        return Check("CPU", "note", summary, "with one core everything works but takes twice as long", details)
    if not has["avx2"]:
        return Check("CPU", "note", summary, "without AVX2 encoders are several times slower", details)
    return Check("CPU", "ok", summary, "", details)


def memory() -> Check:
    """At least 4 GB free: Ray, one sweep and a policy run."""
    line = _first_line("/proc/meminfo", "MemAvailable")
    kilobytes = re.search(r"\d+", line)
    if kilobytes is None:
        return Check("Memory", "note", "unknown", "have 4 GB free for the default run")
    free = int(kilobytes.group()) * 1024
    summary, details = f"{free / GIB:.1f} GB free", {"free_bytes": free}
    if free < 2 * GIB:
        return Check("Memory", "problem", summary, "the default run needs 4 GB; close other programs", details)
    if free < 4 * GIB:
        return Check("Memory", "note", summary, "tight for the default run (4 GB); try --workers 1", details)
    return Check("Memory", "ok", summary, "", details)


def disk() -> Check:
    """Room in this folder, in Ray's temporary folder and in shared memory."""
    free = {str(path): shutil.disk_usage(path).free for path in (Path.cwd(), Path("/tmp")) if path.exists()}
    shm = Path("/dev/shm")
    details: JsonObject = {"free_bytes": dict(free)}
    summary = ", ".join(f"{value / GIB:.0f} GB free in {path}" for path, value in free.items())
    if shm.exists():
        details["shm_free_bytes"] = shutil.disk_usage(shm).free
        if details["shm_free_bytes"] < GIB // 2:
            remedy = "Ray is slow with little shared memory; in Docker start the container with --shm-size=2g"
            return Check("Disk", "note", f"{summary}, little in /dev/shm", remedy, details)
    if min(free.values(), default=0) < 2 * GIB:
        return Check(
            "Disk", "problem", summary, "the default run needs 2 GB; make room or go to another folder", details
        )
    return Check("Disk", "ok", summary, "", details)


def _working(name: str, package: str, code: str, timeout: float, summary: str) -> Check:
    """Whether code runs, which fills in the summary; a package that fails is to be installed again."""
    found, trouble = _probe(code, timeout)
    if found is None:
        return Check(name, "problem", trouble, f"reinstall it: pip install --force-reinstall {package}")
    return Check(name, "ok", summary.format(**found), "", found)


def procgen(timeout: float) -> Check:
    """Import procgen's library and play one step."""
    code = (
        "from heist_encoders.engine import Engine\n"
        "import importlib.metadata as m\n"
        "wheel = next(f'{d.metadata[\"Name\"]} {d.version}' for d in m.distributions() "
        "if (d.metadata['Name'] or '') in ('procgen', 'procgen-mirror', 'procgen-gym'))\n"
        "engine = Engine(1)\n"
        "engine.act([4])\n"
        "frame = engine.observe().frames[0]\n"
        "result = dict(wheel=wheel, shape=list(frame.shape), mean=float(frame.mean()))"
    )
    return _working("procgen", "heist-encoders", code, timeout, "{wheel}, Heist plays")


def torch(timeout: float) -> Check:
    """Import torch and run a convolution."""
    code = (
        "import torch\n"
        "torch.nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 64, 64))\n"
        "result = dict(version=torch.__version__, threads=torch.get_num_threads(), "
        "capability=torch.backends.cpu.get_cpu_capability())"
    )
    return _working("torch", "torch", code, timeout, "{version}, {threads} threads, {capability}")


def gpu(timeout: float) -> Check:
    """A CUDA GPU that computes."""
    code = (
        "import torch\n"
        "n = torch.cuda.device_count() if torch.cuda.is_available() else 0\n"
        "names = [torch.cuda.get_device_name(i) for i in range(n)]\n"
        "computes = n > 0 and float(torch.ones(2, device='cuda').sum()) == 2\n"
        "result = dict(names=names, computes=computes, cuda=torch.version.cuda)"
    )
    found, trouble = _probe(code, timeout)
    if found is None:
        return Check("GPU", "note", f"does not compute: {trouble}", "check the driver with nvidia-smi; the CPU is used")
    if found["names"]:
        return Check("GPU", "ok", ", ".join(found["names"]) + f", CUDA {found['cuda']}", "", found)
    has_device = Path("/dev/nvidia0").exists()
    if has_device and found["cuda"] is None:
        return Check("GPU", "note", "there is one, but torch is a CPU build", "install torch's CUDA build", found)
    return Check("GPU", "note", "none found: the CPU is used, which all defaults are made for", "", found)


def arrays(timeout: float) -> Check:
    """numpy below 2 (procgen) with a pyarrow that still takes it (below 26)."""
    code = (
        "import numpy, pyarrow, pyarrow.parquet, pandas\n"
        "result = dict(numpy=numpy.__version__, pyarrow=pyarrow.__version__, pandas=pandas.__version__)"
    )
    found, trouble = _probe(code, timeout)
    remedy = "install the pair that procgen and Ray need: pip install 'numpy>=1.26,<2' 'pyarrow>=17,<26'"
    if found is None:
        return Check("numpy, pyarrow", "problem", trouble, remedy)
    summary = f"numpy {found['numpy']}, pyarrow {found['pyarrow']}, pandas {found['pandas']}"
    fits = int(found["numpy"].split(".")[0]) < 2 and 17 <= int(found["pyarrow"].split(".")[0]) < 26
    return Check("numpy, pyarrow", "ok" if fits else "problem", summary, "" if fits else remedy, found)


def ray(timeout: float) -> Check:
    """Import the parts of Ray that this package uses."""
    code = "import ray, ray.data, ray.tune, ray.rllib\nresult = dict(version=ray.__version__)"
    found, trouble = _probe(code, timeout)
    if found is None:
        return Check("Ray", "problem", trouble, "reinstall it: pip install 'ray[rllib,tune]>=2.60,<2.61' 'pyarrow<26'")
    if not found["version"].startswith("2.60."):
        return Check("Ray", "problem", found["version"], "pip install 'ray[rllib,tune]>=2.60,<2.61'", found)
    return Check("Ray", "ok", f"{found['version']}: data, tune and rllib import", "", found)


def openvino(timeout: float) -> Check:
    """OpenVINO, the faster way to encode on a CPU."""
    found, trouble = _probe(
        "import openvino\nresult = dict(version=openvino.__version__, devices=openvino.Core().available_devices)",
        timeout,
    )
    if found is None:
        missing = "No module named 'openvino'" in trouble
        summary = "not installed: torch encodes" if missing else trouble
        return Check(
            "OpenVINO", "note", summary, "for faster encoding on a CPU: pip install 'heist-encoders[openvino]'"
        )
    return Check("OpenVINO", "ok", f"{found['version'].split('-')[0]} on {', '.join(found['devices'])}", "", found)


def video(timeout: float) -> Check:
    """ffmpeg, for mp4 files; GIFs need nothing."""
    found, trouble = _probe(
        "from heist_encoders.evaluation.video import ffmpeg_executable\nresult = dict(path=ffmpeg_executable())",
        timeout,
    )
    if found is None:
        return Check("Video", "note", f"no mp4: {trouble}", "write .gif files, or install ffmpeg")
    return Check("Video", "ok", "mp4 and GIF", "", found)


def _probe(code: str, timeout: float) -> tuple[JsonObject | None, str]:
    """Run ``code``, which must set ``result``, in a new Python. Returns (result, "") or (None, what went wrong)."""
    script = f"{code}\nimport json\nprint('\\n' + json.dumps(result))"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
            env={**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"did not answer within {timeout:.0f} s"
    if done.returncode == 0:
        result: JsonObject = json.loads(done.stdout.strip().splitlines()[-1])
        return result, ""
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    if done.returncode < 0:
        return None, f"crashed (signal {-done.returncode})"
    return None, lines[-1].strip() if lines else f"ended with status {done.returncode}"


def _first_line(path: str, start: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next((line.strip() for line in file if line.startswith(start)), "")
    except OSError:
        return ""
