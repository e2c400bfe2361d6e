"""Strictly validated configurations: an unknown key, a wrong type or a value out of range is a one-line error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pydantic
import yaml
from typing_extensions import Self

from heist_encoders.errors import ConfigError, nearest


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-6`` as a number, as YAML 1.2 does (PyYAML's YAML 1.1 reads it as a string)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: if the file is missing, is not YAML or holds something else than a mapping.
    """
    path = Path(path)
    try:
        data = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError:
        raise ConfigError(f"no such config file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; expected a YAML text file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {type(data).__name__}, expected a mapping of option: value")
    return data


class Config(pydantic.BaseModel):
    """Base of all configurations. Immutable, strict: no unknown keys, no silent conversions."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, where: str = "") -> Self:
        """Validate a plain dictionary; ``where`` (a file name, say) starts the error line.

        Raises:
            ConfigError: naming the first offending key, what was given and what was expected.
        """
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise ConfigError(_explain(cls, error, where)) from None

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Validate a YAML file. Raises ConfigError as ``from_dict`` and ``read_yaml`` do."""
        return cls.from_dict(read_yaml(path), where=str(path))

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-serialisable plain values."""
        return self.model_dump(mode="json")


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
        return f"{prefix}unknown key {'.'.join(location)!r}; {nearest(location[-1], owner.model_fields)}"
    if detail["type"] == "missing":
        return f"{prefix}missing key {'.'.join(location)!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if not location:  # of values that do not go together; the message names them
        return f"{prefix}{message}"
    name = ".".join(location)
    return f"{prefix}{name} = {detail['input']!r}: {message[:1].lower()}{message[1:]}"
