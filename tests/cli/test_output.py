"""Tables on terminals of any width."""

from __future__ import annotations

import io
import re

import pytest

from heist_encoders.cli.output import print_table

COLUMNS = (
    "rank", "status", "feasible", "objective", "test_loss", "latent_dimension", "latency_ms", "learning_rate",
    "loss.semantic_map", "params.latent_size",
)  # fmt: skip
ROWS = [
    (1, "done", True, 0.5, 0.02, 64, 1.2, 0.001, 0.03, 64),
    (2, "stopped", False, 0.4, 0.03, 2048, 7.2, 0.002, 0.0, 128),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_is_readable_on_any_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    print_table(COLUMNS, ROWS, title="runs/x", file=terminal)
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in line.split()]
    for column in COLUMNS[1:]:
        assert words.count(column) == 1, column
    parts = text.removeprefix(lines[0]).split("\n\n")
    assert [part.split()[0] for part in parts] == ["rank"] * len(parts)
    assert (len(parts) == 1) == (width == 200)
    assert words.count("stopped") == 1


def test_a_table_in_a_file_is_never_cut() -> None:
    file = io.StringIO()
    print_table([f"a_long_name_{i}" for i in range(40)], [range(40)], file=file)
    assert len(file.getvalue().splitlines()) == 2
