"""Hyperparameter search with Ray Tune.

``tune.run(trainable, config={**search_space("vae_paper"), "dataset": path})`` for Tune users, ``sweep`` for all of it
in one call, ``promote_winner`` to put the best encoder into the zoo. Ray is imported when one of these runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "Objective": "options",
    "SearchSpace": "spaces",
    "SweepEvent": "events",
    "SweepOptions": "options",
    "SweepResult": "results",
    "load_result": "results",
    "load_space": "spaces",
    "optuna_search": "optuna_tpe",
    "promote_winner": "winner",
    "search_space": "spaces",
    "space_names": "spaces",
    "sweep": "sweeps",
    "trainable": "trial_function",
}

__all__ = [
    "Objective",
    "SearchSpace",
    "SweepEvent",
    "SweepOptions",
    "SweepResult",
    "load_result",
    "load_space",
    "optuna_search",
    "promote_winner",
    "search_space",
    "space_names",
    "sweep",
    "trainable",
]

if TYPE_CHECKING:
    from heist_encoders.tuning.events import SweepEvent
    from heist_encoders.tuning.options import Objective, SweepOptions
    from heist_encoders.tuning.optuna_tpe import optuna_search
    from heist_encoders.tuning.results import SweepResult, load_result
    from heist_encoders.tuning.spaces import SearchSpace, load_space, search_space, space_names
    from heist_encoders.tuning.sweeps import sweep
    from heist_encoders.tuning.trial_function import trainable
    from heist_encoders.tuning.winner import promote_winner

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
