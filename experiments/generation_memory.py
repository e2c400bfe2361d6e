"""How much memory does a large dataset take to generate?

Shows: the peak memory of all processes of `heist-encoders generate` together (the command, its Ray, the workers),
       taken twice a second: Pss, in which pages shared by several processes count once, so that the sum is what the
       machine has to give. The object store's pages are in it.
Run:   python experiments/generation_memory.py          (1,000,000 frames, 0.7 GB of disk, 2 to 5 minutes on 2 cores)
"""

# What came out (23 Nov 2026, 2 cores of an Intel Xeon, Python 3.11.7, load average 1.4) stands in docs/data.md. It
# does not grow with the number of frames. 350 MB of each worker are the pictures that procgen loads.

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import descendants, machine, memory, table, title


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        out = Path(folder) / "d"
        command = [sys.executable, "-m", "heist_encoders.cli.main", "generate", "--out", str(out), "--json"]
        start = time.monotonic()
        process = subprocess.Popen(
            [*command, "--size", str(options.size), "--workers", str(options.workers)],
            stdout=subprocess.PIPE,
            text=True,
        )
        samples: list[tuple[float, dict[str, float], float]] = []
        while process.poll() is None:
            pids = descendants(process.pid)
            workers = [pid for pid in pids if title(pid).startswith("ray::_Worker")]
            samples.append((time.monotonic() - start, memory(pids), memory(workers)["Pss"] / max(len(workers), 1)))
            time.sleep(0.5)
        seconds = time.monotonic() - start
        content, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"generate ended with {process.returncode}")
        size = sum(file.stat().st_size for file in out.iterdir() if file.is_file())
        found = json.loads(content)["hash"]
    quarters = [max(s[1]["Pss"] for s in samples if i / 4 <= s[0] / seconds <= (i + 1) / 4) for i in range(4)]
    print(f"{options.size:,} balanced frames, memory mode, {options.workers} workers. {machine()}\n")
    print(table(
        ["", "measured"],
        [
            ["peak of all processes (Pss)", f"{max(s[1]['Pss'] for s in samples):,.0f} MB"],
            ["the same, in each quarter of the run", ", ".join(f"{value:,.0f}" for value in quarters) + " MB"],
            ["of it not backed by files (Anonymous)", f"{max(s[1]['Anonymous'] for s in samples):,.0f} MB"],
            ["peak of one worker", f"{max(s[2] for s in samples):,.0f} MB"],
            ["time, start to end", f"{seconds:,.0f} s ({options.size / seconds:,.0f} frames/s)"],
            ["on disk", f"{size / 1e6:,.0f} MB, {size / options.size:,.0f} bytes a frame"],
            ["hash", found[:16]],
        ],
    ))  # fmt: skip


if __name__ == "__main__":
    main()
