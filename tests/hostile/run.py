"""Opens hostile files of some kinds in this process: ``python -m tests.hostile.run SEED KIND=CASES ...``.

Prints JSON: for each kind the cases, how many were opened and refused, and what went wrong, with the case's number.
Before each case its name is written to the file descriptor 2, so that the last line tells which one ended a process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.cases import FAMILIES
from tests.hostile.guard import Escape, Guard, limit_memory, peak_memory

_MEMORY = 1_000_000_000
_MOST_SHOWN = 12


def main(seed: int, wanted: dict[str, int], only: int | None = None) -> dict[str, Any]:
    """Open ``wanted`` cases of each kind; with ``only`` that case alone."""
    from heist_encoders.errors import HeistEncodersError

    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    root = Path(tempfile.mkdtemp(prefix="hostile-"))
    os.environ["HEIST_ENCODERS_HOME"] = str(root / "home")
    outside = root / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (outside / "train-kept.npy").write_text("kept")
    folders = {name: root / name for name in wanted}
    makers = {}
    for name, folder in folders.items():
        folder.mkdir()
        (folder / "outside").symlink_to(outside)
        makers[name] = FAMILIES[name](folder)
    guard = Guard(*folders.values(), root / "home")
    limit_memory(_MEMORY)
    result: dict[str, Any] = {}
    for name, cases in wanted.items():
        before, began = peak_memory(), time.process_time()
        found = {"cases": cases, "opened": 0, "refused": 0, "wrong": []}
        for number in range(cases) if only is None else [only]:
            os.write(2, f"{name} {number}\n".encode())
            opening = makers[name](Random(f"{seed} {name} {number}"))
            try:
                with guard.on():
                    opening()
                found["opened"] += 1
            except HeistEncodersError as error:
                found["refused"] += 1
                text = str(error)
                if not text.isprintable() or len(text) > 2_000:
                    found["wrong"].append([number, f"not one line: {len(text)} characters, {text[:300]!r}"])
            except (Exception, Escape) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)][-4:]
                found["wrong"].append([number, f"{type(error).__name__}: {error!s:.200} at {where} {last.name}"])
        found["memory"], found["seconds"] = peak_memory() - before, time.process_time() - began
        found["wrong_cases"], found["wrong"] = len(found["wrong"]), found["wrong"][:_MOST_SHOWN]
        result[name] = found
    kept = sorted(path.name for path in outside.iterdir()) == ["secret", "train-kept.npy"]
    result["outside_untouched"] = kept and not Path("escaped").exists()
    shutil.rmtree(root, ignore_errors=True)
    return result


if __name__ == "__main__":
    pairs = dict(word.split("=") for word in sys.argv[2:] if not word.startswith("--"))
    chosen = [int(word.removeprefix("--only=")) for word in sys.argv if word.startswith("--only=")]
    print(json.dumps(main(int(sys.argv[1]), {k: int(v) for k, v in pairs.items()}, *chosen)))
    sys.stdout.flush()
    os._exit(0)
