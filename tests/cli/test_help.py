"""Help texts, versions and what the command line imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.helpers import COMMANDS, Cli


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    out = cli.ok(*command.split(), "--help").out
    assert "Usage:" in out
    assert "Examples:" in out
    assert f"heist-encoders {command}" in out
    assert "--json" in out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_root_lists_all_commands(cli: Cli, arguments: list[str]) -> None:
    out = cli.ok(*arguments).out
    assert all(command.split()[0] in out for command in COMMANDS)


def test_version(cli: Cli) -> None:
    import heist_encoders

    assert cli.ok("--version").out == f"heist-encoders {heist_encoders.__version__}\n"


@pytest.mark.parametrize("module", ["heist_encoders", "heist_encoders.cli.main"])
def test_imports_stay_light(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = ('torch', 'ray', 'procgen', 'gym3', 'pyarrow', 'pandas', 'matplotlib', 'jinja2', 'openvino')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
