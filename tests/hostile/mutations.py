"""What a hostile or broken file can hold: changes of the bytes, the values and the links of a valid one, seeded."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3.5, 2**31, -(2**31), 2**63, 10**30, 1e308, float("nan"), float("inf"), 1e-320),
    *("", "x", "1", "../../escaped", "/etc/passwd", "~nobody/x", "file:///etc", "hf://nobody/nothing"),
    *("two\nlines", "\x1b[2J", "\x00", "\ud800", "x" * 5_000, "e\u0301\u202e", "os.system", "__class__"),
    *([], {}, [[]], [None], ["../x"], {"": {}}, {"__reduce__": ["os.system", "x"]}, list(range(300)), [1e999, "1"]),
)
ODD_TEXTS = (
    *("", " ", "{", "null", "[]", "3", '"x"', "NaN", "-", "{}{}", "\ufeff{}", "[" * 50_000, '{"a":' * 30_000),
    *('{"a": ' + "9" * 5_000 + "}", "\x00" * 100, "{'a': 1}", '{"a": 1, "a": 2}', "1e999", '{"\\ud800": "\\udfff"}'),
)
ODD_YAML = (
    *("!!python/object/apply:os.system ['touch escaped']", "!!python/name:os.system", "!!binary '='", "!!set {a}"),
    *(
        "!!timestamp x",
        "2001-99-99",
        "!!int ''",
        "!!bool x",
        "!!float 'a'",
        "&a [*a]",
        "&a {b: *a}",
        "0x" + "f" * 9_000,
    ),
    *("1:99:99", "0o9", ".nan", "-.inf", "<<", "*nothing", "? [a]", "!!omap [3]", "!!pairs [[1]]", "{[a]: b}", "%"),
    *("'\\x00'", "!<tag:yaml.org,2002:int> z", "!!null x", "{<<: 3}", "{<<: [1]}", "=", "!!merge x"),
)


def odd_bytes(random: Random, content: bytes) -> bytes:
    """``content`` with bits flipped, cut, doubled, or with other bytes or numbers somewhere."""
    kind, size = random.randrange(7), max(len(content), 1)
    at = random.randrange(size)
    end = at + random.randrange(1, 64)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[end:]
    if kind == 2:
        return content[:at] + random.randbytes(end - at) + content[end:]
    if kind == 3:
        return content[:at] + content[at:end] * random.randrange(2, 50) + content[end:]
    if kind == 4:
        number = random.choice((0, 1, -1, 2**31 - 1, -(2**31), 10**6)).to_bytes(4, "little", signed=True)
        return content[:at] + number + content[at + 4 :]
    changed = bytearray(content or b"x")
    for _ in range(random.randrange(1, 9)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def odd_value(random: Random, value: Any) -> Any:
    """A copy of a JSON value with one to three parts replaced, removed, renamed, added or nested deeply."""
    changed = {"": copy.deepcopy(value)}
    for _ in range(random.randrange(1, 4)):
        places = list(_places(changed))
        owner, key = places[random.randrange(len(places))]
        odd = copy.deepcopy(random.choice(ODD_VALUES))
        kind = random.randrange(6)
        if kind == 0:
            for _ in range(random.choice((1, 5, 150))):
                owner[key] = [owner[key]] if random.random() < 0.5 else {"a": owner[key]}
        elif kind == 1 and owner is not changed:
            del owner[key]
        elif kind == 2 and isinstance(owner, dict) and owner is not changed:
            owner[random.choice(("", "../x", "a\nb", "x" * 300, "\ud800", "__init__"))] = owner.pop(key)
        elif kind == 3 and isinstance(owner[key], dict):
            owner[key][random.choice(("extra", "../x", "path", "\n"))] = odd
        elif kind == 4 and isinstance(owner[key], int | float):
            owner[key] = random.choice((-1, 0, 10**9, 2**31, 2**63, 10**18, owner[key] + 1, float(owner[key]), 1e300))
        else:
            owner[key] = odd
    return changed[""]


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def odd_json(random: Random, value: Any) -> bytes:
    """Text that is mostly JSON of almost this value."""
    kind = random.randrange(10)
    if kind == 0:
        return random.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    if kind == 1:
        return odd_bytes(random, json.dumps(value).encode())
    return json.dumps(odd_value(random, value), ensure_ascii=random.random() < 0.9).encode("utf-8", "surrogatepass")


def odd_link(random: Random, file: Path, outside: Path) -> None:
    """Put a link or a folder where a file was: to a file or folder outside, to itself, to nothing."""
    file.unlink()
    target = random.choice((outside, outside / "secret", file, file.parent, Path("../nothing"), None))
    if target is None:
        file.mkdir()
    else:
        file.symlink_to(target)


class Copies:
    """Copies of a valid folder, each with some of its files changed.

    Args:
        source: the valid folder.
        place: where the copies are made, each in the place of the one before.
    """

    def __init__(self, source: Path, place: Path) -> None:
        self.place = place
        self.files = {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}

    def write(self, changed: dict[str, bytes]) -> Path:
        """A fresh copy with these files in it."""
        shutil.rmtree(self.place, ignore_errors=True)
        for name, content in {**self.files, **changed}.items():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_bytes(content)
        return self.place

    def json(self, name: str) -> Any:
        """The value that a file of the valid folder holds."""
        return json.loads(self.files[name])


Case = Callable[[Random], Callable[[], object]]
"""Writes a hostile file and gives what a user would open it with."""
