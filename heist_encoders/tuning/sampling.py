"""From a YAML value such as ``{loguniform: [1e-4, 1e-2]}`` to Ray Tune's and Optuna's own sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heist_encoders.errors import ConfigError, nearest

_ARITY = {
    "uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3,
    "randint": 2, "lograndint": 2, "qrandint": 3, "qlograndint": 3,
}  # fmt: skip
KINDS = (*_ARITY, "choice", "grid")


@dataclass(frozen=True)
class Sampled:
    """One parameter that a sweep searches.

    Attributes:
        kind: One of ``KINDS``, each the function of ``ray.tune`` of that name (``grid`` is ``grid_search``): the
            upper end of ``randint`` and ``lograndint`` is exclusive, that of the quantised kinds inclusive.
        args: ``(lower, upper)``, ``(lower, upper, step)``, or the values of ``choice`` and ``grid``.
        when: Other parameters (dotted names) -> the values under which this one is searched; empty = always.
        otherwise: The value where ``when`` does not hold.
    """

    kind: str
    args: tuple[Any, ...]
    when: Mapping[str, tuple[Any, ...]]
    otherwise: Any = None

    def extremes(self) -> tuple[Any, ...]:
        """The values that decide whether the whole range is allowed: its ends, or every choice."""
        if self.kind in ("choice", "grid"):
            return self.args
        lower, upper = self.args[:2]
        return (lower, upper - 1 if self.kind in ("randint", "lograndint") else upper)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether ``when`` holds in ``config`` (flat, dotted names)."""
        return all(config[key] in values for key, values in self.when.items())


def is_sampled(value: Any) -> bool:
    """Whether a YAML value asks for sampling, rather than being a constant or a nested section."""
    return isinstance(value, dict) and any(key in KINDS for key in value)


def parse_sampled(value: dict[str, Any], where: str) -> Sampled:
    """Validate one ``{kind: arguments, when: ..., otherwise: ...}``; ``where`` starts the error line.

    Raises:
        ConfigError: naming the key, what was given and what was expected.
    """
    kinds = [key for key in value if key not in ("when", "otherwise")]
    for key in kinds:
        if key not in KINDS:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(key, (*KINDS, 'when', 'otherwise'))}")
    if len(kinds) != 1:
        raise ConfigError(f"{where} = {value!r}: give one kind of sampling, not {len(kinds)}")
    kind = kinds[0]
    args = value[kind]
    if not isinstance(args, list):
        raise ConfigError(f"{where}.{kind} = {args!r}: expected a list")
    _check_args(kind, args, where)
    when = value.get("when", {})
    if not isinstance(when, dict):
        raise ConfigError(f"{where}.when = {when!r}: expected a mapping of parameter: value or list of values")
    if "otherwise" in value and not when:
        raise ConfigError(f"{where}.otherwise: needs a 'when'")
    if when and kind == "grid":
        raise ConfigError(f"{where}: a grid cannot be conditional; use choice with 'when'")
    conditions = {key: tuple(v) if isinstance(v, list) else (v,) for key, v in when.items()}
    return Sampled(kind, tuple(args), conditions, value.get("otherwise"))


def _check_args(kind: str, args: list[Any], where: str) -> None:
    if kind in ("choice", "grid"):
        if not args:
            raise ConfigError(f"{where}.{kind} = []: expected at least one value")
        return
    if len(args) != _ARITY[kind]:
        expected = "[lower, upper]" if _ARITY[kind] == 2 else "[lower, upper, step]"
        raise ConfigError(f"{where}.{kind} = {args!r}: expected {expected}")
    number = int if kind.endswith("randint") else (int, float)
    if any(isinstance(a, bool) or not isinstance(a, number) or not math.isfinite(a) for a in args):
        raise ConfigError(f"{where}.{kind} = {args!r}: expected {'integers' if number is int else 'numbers'}")
    if args[0] >= args[1]:
        raise ConfigError(f"{where}.{kind} = {args!r}: the lower end must be below the upper end")
    if "log" in kind and args[0] <= 0:
        raise ConfigError(f"{where}.{kind} = {args!r}: a logarithmic range must start above 0")
    if len(args) == 3 and args[2] <= 0:
        raise ConfigError(f"{where}.{kind} = {args!r}: the step must be above 0")


def to_tune(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A nested ``param_space`` for Ray Tune from flat, dotted parameters."""
    from ray import tune

    from heist_encoders.tuning.conditional import Conditional

    flat: dict[str, Any] = {}
    for key, value in parameters.items():
        if not isinstance(value, Sampled):
            flat[key] = value
            continue
        if value.kind == "grid":
            flat[key] = tune.grid_search(list(value.args))
        elif value.kind == "choice":
            flat[key] = tune.choice(list(value.args))
        else:
            flat[key] = getattr(tune, value.kind)(*value.args)
        if value.when:
            flat[key] = Conditional(flat[key], value.when, value.otherwise)
    return nested(flat)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"loss.beta": 1}`` -> ``{"loss": {"beta": 1}}``."""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return result


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"loss": {"beta": 1}}`` -> ``{"loss.beta": 1}``; a mapping that asks for sampling is a value."""
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and not is_sampled(value):
            result.update(flattened(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result


@dataclass(frozen=True)
class OptunaSpace:
    """A define-by-run space for Ray's OptunaSearch: called with an Optuna trial, returns the sampled parameters.

    ``parameters`` are flat, dotted; names handed to Optuna and Tune are joined by "/". Conditions are honoured:
    a parameter whose ``when`` does not hold is not suggested, so it does not disturb the estimator.
    """

    parameters: Mapping[str, Any]

    def __call__(self, trial: Any) -> dict[str, Any]:
        config = {key: value for key, value in self.parameters.items() if not isinstance(value, Sampled)}
        sampled = {key: value for key, value in self.parameters.items() if isinstance(value, Sampled)}
        ordered = sorted(sampled, key=lambda key: bool(sampled[key].when))
        for key in ordered:
            spec = sampled[key]
            config[key] = self._suggest(trial, key, spec) if spec.holds(config) else spec.otherwise
        return {key.replace(".", "/"): config[key] for key in sampled}

    @staticmethod
    def _suggest(trial: Any, key: str, spec: Sampled) -> Any:
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
