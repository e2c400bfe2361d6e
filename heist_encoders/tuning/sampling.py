"""From a YAML value such as ``{loguniform: [1e-4, 1e-2]}`` to Ray Tune's and Optuna's own sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heist_encoders.errors import ConfigError, nearest
from heist_encoders.json_text import JsonObject

_ARITY = {
    "uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3,
    "randint": 2, "lograndint": 2, "qrandint": 3, "qlograndint": 3,
}  # fmt: skip
KINDS = (*_ARITY, "choice", "grid")


@dataclass(frozen=True)
class Sampled:
    """One parameter that a sweep searches.

    Attributes:
        kind: One of ``KINDS``, each the function of ``ray.tune`` of that name (``grid`` is ``grid_search``): the upper
            end of ``randint`` and ``lograndint`` is exclusive, that of the quantised kinds inclusive. Or ``tune``:
            the only argument is a domain of Ray Tune itself.
        args: ``(lower, upper)``, ``(lower, upper, step)``, or the values of ``choice`` and ``grid``.
        when: Other parameters (dotted names) -> the values under which this one is searched; empty = always.
        otherwise: The value where ``when`` does not hold.
    """

    kind: str
    args: tuple[Any, ...]
    when: Mapping[str, tuple[object, ...]]
    otherwise: object = None

    def to_dict(self) -> JsonObject:
        """As it stands in a YAML file: what ``parse_sampled`` reads. Not for the kind ``tune``."""
        conditions = {key: list(values) for key, values in self.when.items()}
        return {self.kind: list(self.args), **({"when": conditions, "otherwise": self.otherwise} if conditions else {})}

    def extremes(self) -> tuple[Any, ...]:
        """The values that decide whether the whole range is allowed: its ends, or every choice."""
        if self.kind in ("choice", "grid"):
            return self.args
        if self.kind == "tune":
            return ()
        lower, upper = self.args[:2]
        return (lower, upper - 1 if self.kind in ("randint", "lograndint") else upper)

    def holds(self, config: Mapping[str, object]) -> bool:
        """Whether ``when`` holds in ``config`` (flat, dotted names)."""
        return all(config[key] in values for key, values in self.when.items())


def is_sampled(value: object) -> bool:
    """Whether a YAML value asks for sampling, rather than being a constant or a nested section."""
    return isinstance(value, dict) and any(key in KINDS for key in value)


def parse_sampled(value: JsonObject, where: str) -> Sampled:
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


def to_tune(parameters: Mapping[str, object]) -> JsonObject:
    """A nested ``param_space`` for Ray Tune from flat, dotted parameters."""
    from ray import tune

    from heist_encoders.tuning.conditional import Conditional

    flat: JsonObject = {}
    for key, value in parameters.items():
        if not isinstance(value, Sampled):
            flat[key] = value
            continue
        if value.kind == "grid":
            flat[key] = tune.grid_search(list(value.args))
        elif value.kind == "choice":
            flat[key] = tune.choice(list(value.args))
        elif value.kind == "tune":
            flat[key] = value.args[0]
        else:
            flat[key] = getattr(tune, value.kind)(*value.args)
        if value.when:
            flat[key] = Conditional(flat[key], value.when, value.otherwise)
    return nested(flat)


def readable(value: object) -> object:
    """A parameter as plain values for JSON, in the form of the YAML."""
    if not isinstance(value, Sampled):
        return value
    if value.kind == "tune":
        return {"tune": f"{type(value.args[0]).__name__} {value.args[0].domain_str}"}
    plain: JsonObject = {value.kind: list(value.args)}
    if value.when:
        plain["when"] = {key: list(values) for key, values in value.when.items()}
        plain["otherwise"] = value.otherwise
    return plain


def from_tune(tree: Mapping[str, object], prefix: str = "") -> JsonObject:
    """Flat, dotted parameters of a ``param_space`` with Tune's own domains."""
    from ray.tune.search.sample import Domain

    flat: JsonObject = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Domain):
            flat[name] = Sampled("tune", (value,), {})
        elif isinstance(value, dict) and set(value) == {"grid_search"}:
            flat[name] = Sampled("grid", tuple(value["grid_search"]), {})
        elif isinstance(value, dict) and value:
            flat.update(from_tune(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def nested(flat: Mapping[str, object]) -> JsonObject:
    """``{"loss.beta": 1}`` -> ``{"loss": {"beta": 1}}``."""
    result: JsonObject = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return result


def flattened(tree: Mapping[str, object], prefix: str = "") -> JsonObject:
    """``{"loss": {"beta": 1}}`` -> ``{"loss.beta": 1}``; a mapping that asks for sampling is a value."""
    result: JsonObject = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value and not is_sampled(value):
            result.update(flattened(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
