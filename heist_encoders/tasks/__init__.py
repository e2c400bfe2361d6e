"""The games: a folder (or file) holds all that the package knows of one. Needs procgen; neither torch nor Ray."""

from __future__ import annotations

from heist_encoders.tasks.base import Columns, Labeller, Rows, Task
from heist_encoders.tasks.registry import task_of

__all__ = ["Columns", "Labeller", "Rows", "Task", "task_of"]
