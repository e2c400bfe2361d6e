"""What a module may know: games are named in their tasks alone, and imports point one way."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

import heist_encoders
from heist_encoders.autoencoders.built_in import BUILT_IN
from heist_encoders.constants import GAMES

ROOT = Path(heist_encoders.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
EVALUATION = ROOT / "evaluation"
OUTSIDE = [module for module in MODULES if not module.startswith("tasks/")]


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text())


def named_games(tree: ast.Module) -> list[str]:
    """Games that stand in code as strings of their own."""
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in GAMES
    ]


def imported(tree: ast.Module) -> list[str]:
    """Modules of this package that are imported somewhere in a file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return [name for name in found if name.startswith("heist_encoders.")]


@pytest.mark.parametrize("module", [m for m in OUTSIDE if m != "constants.py"])
def test_no_module_outside_tasks_names_a_game(module: str) -> None:
    tree = tree_of(module)
    assert named_games(tree) == []
    games = [f"heist_encoders.tasks.{game}" for game in GAMES]
    assert [name for name in imported(tree) if name.startswith(tuple(games))] == []


@pytest.mark.parametrize("path", [*EVALUATION.rglob("*.py"), *EVALUATION.rglob("*.jinja")], ids=lambda path: path.name)
def test_evaluation_names_no_architecture(path: Path) -> None:
    """What a report says of one architecture stands in its class (``BaseAutoencoder.note``)."""
    if path.suffix == ".py":
        said = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    else:
        said = set(re.findall(r"\w+", path.read_text()))
    assert not said & set(BUILT_IN)


def test_constants_name_each_game_once() -> None:
    names = named_games(tree_of("constants.py"))
    assert sorted(names) == sorted([*GAMES, heist_encoders.constants.DEFAULT_GAME])


def test_the_search_for_names_finds_them() -> None:
    """The tests above can fail."""
    assert named_games(ast.parse("if spec.game == 'heist': pass")) == ["heist"]
    assert named_games(ast.parse("'heist-pixels' + heist_encoders.zoo.names.PREFIX")) == []
    assert "heist" in named_games(tree_of("tasks/heist/task.py"))
    line = ast.parse("from heist_encoders.tasks.heist import elements")
    assert imported(line) == ["heist_encoders.tasks.heist", "heist_encoders.tasks.heist.elements"]


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("tasks/")])
def test_tasks_know_only_the_engine(module: str) -> None:
    below = tuple(
        f"heist_encoders.{name}"
        for name in ("tasks", "engine", "arrays", "constants", "errors", "json_text", "semantic")
    )
    assert [name for name in imported(tree_of(module)) if not name.startswith(below)] == []


@pytest.mark.parametrize("game", ["heist", "maze"])
def test_games_do_not_know_each_other(game: str) -> None:
    for module in MODULES:
        if module.startswith(f"tasks/{game}/"):
            others = [f"heist_encoders.tasks.{other}" for other in GAMES if other != game]
            assert [name for name in imported(tree_of(module)) if name.startswith(tuple(others))] == []


def test_only_the_engine_touches_procgen() -> None:
    for module in MODULES:
        names = [
            node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(tree_of(module))
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        if module != "engine.py":
            assert not [name for name in names if name and name.split(".")[0] == "procgen"]
