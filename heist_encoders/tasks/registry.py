"""Which task a game has."""

from __future__ import annotations

import importlib
from functools import cache

from heist_encoders.constants import GAMES
from heist_encoders.errors import unknown_name
from heist_encoders.tasks.base import Task

_WITH_LABELS = {
    "heist": ("heist.task", "HeistTask"),
    "maze": ("maze.task", "MazeTask"),
}
"""Game -> the module below this package and the class of its task; the other games have ``PlainTask``."""


@cache
def task_of(game: str) -> Task:
    """The task of a game; always the same object.

    Args:
        game: one of Procgen's 16 games.

    Raises:
        UnknownNameError: for a game that does not exist.

    Examples:
        >>> from heist_encoders.tasks import task_of
        >>> task = task_of("heist")
        >>> task.elements[:3], task_of("maze").game
        (('key_blue', 'key_green', 'key_red'), 'maze')
    """
    if game not in GAMES:
        raise unknown_name("game", game, GAMES)
    if game not in _WITH_LABELS:
        from heist_encoders.tasks.plain import PlainTask

        return PlainTask(game)
    module, name = _WITH_LABELS[game]
    task: Task = getattr(importlib.import_module(f"heist_encoders.tasks.{module}"), name)()
    return task
