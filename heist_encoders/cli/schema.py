"""Flags made of a configuration's fields, so that Python, YAML and the command line have the same options."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar, Union, cast, get_args, get_origin

import typer

from heist_encoders.config import Config

_Command = TypeVar("_Command", bound=Callable[..., object])


def flags_of(
    schema: type[Config], *, names: Mapping[str, str] | None = None, default: str | None = None
) -> Callable[[_Command], _Command]:
    """Decorate a command that has a parameter ``given``: it gets a flag for each field of ``schema``.

    Type and default of a flag are those of the field, the help is the field's description. ``given`` holds the fields
    that the user set, and only those: ``schema.resolve(file, **given)`` puts them over a file's.

    Args:
        schema: the configuration.
        names: field -> flag, where the flag is not the field's name with dashes; several flags, the one to recommend
            first, stand apart by blanks. A field that is a parameter of the command gets no flag besides.
        default: what the help says of every default, where something else than the schema sets them.
    """
    named = names or {}
    # A schema's own fields before those of its bases, which are of more general interest.
    all_fields = sorted(schema.model_fields, key=lambda name: name not in inspect.get_annotations(schema))

    def decorate(command: _Command) -> _Command:
        written_out = inspect.signature(command).parameters
        fields = [name for name in all_fields if name not in written_out]

        @functools.wraps(command)
        def run(**values: object) -> object:
            given = {name: values.pop(name) for name in fields}
            return command(given={name: value for name, value in given.items() if value not in (None, [])}, **values)

        own = inspect.signature(command, eval_str=True).parameters.values()
        flags = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_flag(name, schema, named.get(name, "--" + name.replace("_", "-")), default),
            )
            for name in fields
        ]
        parameters: list[inspect.Parameter] = []
        for parameter in own:
            found = flags if parameter.name == "given" else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
            parameters += found
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return cast(_Command, run)

    return decorate


def _flag(name: str, schema: type[Config], flag: str, said: str | None) -> object:
    """What typer reads of a field: ``Annotated[int | None, typer.Option("--num-envs", help=...)]``."""
    field = schema.model_fields[name]
    kind = _plain_type(field.annotation)
    if kind is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    default = field.get_default(call_default_factory=True)
    text = " ".join((field.description or "").split()).replace("``", "'")
    shown = (
        ("yes" if default else "no") if isinstance(default, bool) else "none" if default in (None, ()) else str(default)
    )
    option = typer.Option(
        *flag.split(),
        help=f"{text[:1].upper()}{text[1:]}.",
        show_default=said or shown,
    )
    return Annotated[kind | None, option]


def _plain_type(annotation: object) -> type | types.GenericAlias:
    """``int | None`` -> int, ``tuple[str, ...]`` -> list[str], others as they are."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is tuple:
        return list[_plain_type(get_args(annotation)[0])]  # type: ignore[misc]
    return next((kind for kind in (bool, int, float) if annotation is kind), str)
