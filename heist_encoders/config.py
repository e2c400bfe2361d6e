"""Strictly validated configurations: an unknown key, a wrong type or a value out of range is a one-line error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydantic
import yaml
from typing_extensions import Self

from heist_encoders.errors import ConfigError, HeistEncodersError, UnknownNameError, nearest, one_line, unknown_name
from heist_encoders.json_text import JsonObject
from heist_encoders.paths import user_path

_MOST_VALUES = 100_000
"""In a YAML file, each as often as aliases repeat it."""
_MOST_BITS = 64


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-6`` as a number and refuses a key that is given twice, both as YAML 1.2 does.

    PyYAML's YAML 1.1 reads a string, and takes the last of the values without a word. With aliases a value can hold
    itself, or a few lines stand for more than memory holds: such files are refused too.
    """

    def construct_document(self, node: yaml.Node) -> object:
        count, left = 0, [node]
        while left:
            inner = left.pop().value
            if isinstance(inner, list):
                left += [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
            count += 1
            if count > _MOST_VALUES:
                raise yaml.constructor.ConstructorError(None, None, f"it holds more than {_MOST_VALUES:,} values")
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        given: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and given.setdefault(key, line) != line:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice, in lines {given[key]} and {line}; leave one out"
                )
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MOST_BITS:  # what Python can't write again, if it was written in base 16
            raise yaml.constructor.ConstructorError(None, None, f"a number of more than {_MOST_BITS} bits")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: str | Path) -> JsonObject:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: if the file is missing, is not YAML or holds something else than a mapping.
    """
    path = user_path(path)
    try:
        data = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError:
        raise ConfigError(f"no such config file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; expected a YAML text file") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply; expected a mapping of option: value") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:  # of PyYAML
        raise ConfigError(f"{path} is not valid YAML: {one_line(error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {type(data).__name__}, expected a mapping of option: value")
    return data


def one_of(names: Iterable[str], kind: str | None = None) -> pydantic.AfterValidator:
    """For ``Annotated[str, one_of(names)]`` (or ``str | None``): other strings are an UnknownNameError.

    Args:
        names: the names that are accepted.
        kind: what the error calls them; None: the field's name.
    """
    known = tuple(names)

    def check(value: str | None, info: pydantic.ValidationInfo) -> str | None:
        if value is not None and value not in known:
            raise unknown_name(kind or info.field_name or "name", value, known)
        return value

    return pydantic.AfterValidator(check)


class Config(pydantic.BaseModel):
    """Base of all configurations. Immutable, strict: no unknown keys, no silent conversions.

    numpy's scalars count as the Python values that they hold: ``np.int64(64)`` is accepted where an int is.

    The string below a field is its description: the help text of the command line's flag, for example. A subclass that
    gives a field another default keeps the description.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            bases = [base for base in cls.__mro__[1:] if issubclass(base, Config) and name in base.model_fields]
            if field.description is None and bases:
                field.description = bases[0].model_fields[name].description

    @pydantic.model_validator(mode="before")
    @classmethod
    def _with_plain_values(cls, data: object) -> object:
        return _plain(cls.with_new_names(data)) if isinstance(data, dict) else data

    renamed: ClassVar[Mapping[str, str]] = {}
    """Old name of an option -> the name that replaced it; accepted with a DeprecationWarning for one version."""

    @classmethod
    def with_new_names(cls, data: dict[str, object]) -> dict[str, object]:
        """``data`` with the options that were ``renamed`` under their new names.

        Raises:
            ConfigError: if an option is given under both names.
        """
        named = dict(data)
        for old in cls.renamed.keys() & data.keys():
            new = cls.renamed[old]
            if new in data:
                raise ConfigError(f"{old!r} is the old name of {new!r}, and both are given; leave out {old!r}")
            warnings.warn(f"the option {old!r} is now called {new!r}", DeprecationWarning, stacklevel=4)
            named[new] = named.pop(old)
        return named

    @classmethod
    def from_dict(cls, data: JsonObject, *, where: str = "") -> Self:
        """Validate a plain dictionary; ``where`` (a file name, say) starts the error line.

        Raises:
            ConfigError: naming the first offending key, what was given and what was expected.
            UnknownNameError: for a value of a ``one_of`` field that is not among its names.
        """
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise _explained(cls, error, where) from None

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Validate a YAML file. Raises ConfigError as ``from_dict`` and ``read_yaml`` do."""
        return cls.from_dict(read_yaml(path), where=str(path))

    @classmethod
    def resolve(cls, given: Self | Mapping[str, object] | str | Path | None = None, /, **overrides: object) -> Self:
        """A configuration from all that a caller may give: an object, a mapping or a YAML file, and single values.

        Args:
            given: what to start from; None: the defaults.
            overrides: values that replace those of ``given``.

        Raises:
            ConfigError: as ``from_dict`` does.
            UnknownNameError: for an override that is no option, and as ``from_dict`` does.
        """
        overrides = cls.with_new_names(overrides)
        for name in overrides:
            if name not in cls.model_fields:
                raise unknown_name("option", name, cls.model_fields)
        where = ""
        if isinstance(given, Config):
            # As it is: JSON values would lose what only Python has.
            data = {name: getattr(given, name) for name in type(given).model_fields}
        elif isinstance(given, (str, Path)):
            data, where = cls.with_new_names(read_yaml(given)), str(given)
            cls.from_dict(data, where=where)
        else:
            data = cls.with_new_names(dict(given or {}))
        return cls.from_dict({**data, **overrides}, where="" if overrides else where)

    def to_dict(self) -> JsonObject:
        """The configuration as JSON-serialisable plain values."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """The configuration as YAML, all values written out: what ``from_yaml`` reads."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def _plain(value: object) -> object:
    """``value`` with numpy's scalars, also those inside of mappings and lists, as Python values."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is tuple:
        return tuple(_plain(item) for item in value)
    return value


def _explained(cls: type[pydantic.BaseModel], error: pydantic.ValidationError, where: str) -> HeistEncodersError:
    cause = error.errors()[0].get("ctx", {}).get("error")
    if isinstance(cause, UnknownNameError):
        return UnknownNameError(f"{where}: {cause}" if where else str(cause))
    return ConfigError(_explain(cls, error, where))


def _explain(cls: type[pydantic.BaseModel], error: pydantic.ValidationError, where: str) -> str:
    detail = error.errors()[0]
    location = [str(part) for part in detail["loc"]]
    prefix = f"{where}: " if where else ""
    if detail["type"] == "extra_forbidden":
        owner = cls
        for part in location[:-1]:
            field = owner.model_fields.get(part)
            if field is None or not isinstance(field.annotation, type):
                break
            owner = field.annotation
        return f"{prefix}unknown key {'.'.join(location)!r:.200}; {nearest(location[-1], owner.model_fields)}"
    if detail["type"] == "missing":
        return f"{prefix}missing key {'.'.join(location)!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if not location:  # of values that do not go together; the message names them
        return f"{prefix}{message}"
    name = one_line(".".join(location))
    return f"{prefix}{name} = {detail['input']!r:.300}: {message[:1].lower()}{message[1:]}"
