"""Optuna (TPE) over a search space, by Ray's own adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError, MissingDependencyError
from heist_encoders.json_text import JsonObject
from heist_encoders.tuning.sampling import Sampled
from heist_encoders.tuning.spaces import SearchSpace

if TYPE_CHECKING:
    import optuna
    from ray.tune.search import Searcher


@dataclass(frozen=True)
class OptunaSpace:
    """A define-by-run space for Ray's OptunaSearch: called with an Optuna trial, returns the sampled parameters.

    ``parameters`` are flat, dotted; names handed to Optuna and Tune are joined by "/". Conditions are honoured:
    a parameter whose ``when`` does not hold is not suggested, so it does not disturb the estimator.
    """

    parameters: JsonObject

    def __call__(self, trial: optuna.Trial) -> JsonObject:
        config = {key: value for key, value in self.parameters.items() if not isinstance(value, Sampled)}
        sampled = {key: value for key, value in self.parameters.items() if isinstance(value, Sampled)}
        ordered = sorted(sampled, key=lambda key: bool(sampled[key].when))
        for key in ordered:
            spec = sampled[key]
            config[key] = self._suggest(trial, key, spec) if spec.holds(config) else spec.otherwise
        return {key.replace(".", "/"): config[key] for key in sampled}

    @staticmethod
    def _suggest(trial: optuna.Trial, key: str, spec: Sampled) -> object:
        name = key.replace(".", "/")
        log = "log" in spec.kind
        if spec.kind in ("choice", "grid"):
            # By index: Optuna's categories must be plain values, ours may be lists.
            return spec.args[trial.suggest_categorical(name, list(range(len(spec.args))))]
        lower, upper = spec.extremes()
        step = spec.args[2] if len(spec.args) == 3 and not log else None
        if spec.kind.endswith("randint"):
            return trial.suggest_int(name, lower, upper, step=step or 1, log=log)
        value = trial.suggest_float(name, float(lower), float(upper), step=step, log=log)
        if spec.kind == "qloguniform":
            return min(max(round(value / spec.args[2]) * spec.args[2], lower), upper)
        return value


def optuna_search(space: SearchSpace, seed: int = 0) -> Searcher:
    """Ray's OptunaSearch (TPE) over a search space, for ``sweep`` and for a Tuner of one's own.

    Pass ``space.constants()`` as its ``param_space``: the rest is suggested by Optuna.

    Raises:
        MissingDependencyError: if Optuna is missing, or does not fit Ray's adapter.
        ConfigError: if the space has a grid, which Optuna can't search.
    """
    pin = "install what fits: pip install 'heist-encoders[optuna]' (optuna>=4,<6)"
    try:
        import optuna
    except ImportError:
        raise MissingDependencyError(f"search = 'optuna' needs Optuna, which is not installed; {pin}") from None
    major = int(str(optuna.__version__).split(".", 1)[0])
    if not 4 <= major < 6:
        raise MissingDependencyError(f"Optuna {optuna.__version__} was not tried with this Ray's adapter; {pin}")
    for key, value in space.parameters.items():
        if isinstance(value, Sampled) and value.kind in ("grid", "tune"):
            kind = "a grid" if value.kind == "grid" else "a ready-made domain of Tune"
            raise ConfigError(f"{key}: Optuna can't search {kind}; write it as choice or a range, or search: random")
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    points = [
        {k.replace(".", "/"): _suggested(space.parameters[k], v) for k, v in point.items()} for point in space.start
    ]
    return OptunaSearch(
        OptunaSpace(space.parameters), metric="objective", mode="max", points_to_evaluate=points, seed=seed
    )


def _suggested(spec: Sampled, value: object) -> object:
    """What OptunaSpace would have been given for ``value``: an index for a choice."""
    return spec.args.index(value) if spec.kind == "choice" else value
