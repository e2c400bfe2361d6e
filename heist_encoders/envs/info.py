"""What environments report beside observations and rewards."""

from __future__ import annotations

from typing import Any, TypeAlias

Info: TypeAlias = dict[str, Any]
"""The info of a reset or step, as gymnasium types it; ``HeistEnv`` and ``HeistVectorEnv`` say what is in theirs."""
