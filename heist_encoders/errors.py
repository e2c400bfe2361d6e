"""Errors that a user can correct: one line each, saying what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeistEncodersError(ValueError):
    """Base of the errors that this package raises on purpose. The command line prints them as one line, status 2."""


class ConfigError(HeistEncodersError):
    """A configuration, option or argument that cannot be used."""


class UnknownNameError(HeistEncodersError):
    """A name (encoder, environment, game, mode) that nothing answers to."""


class DatasetError(HeistEncodersError):
    """A dataset that is missing, incomplete, altered or of the wrong kind."""


class ArtifactError(HeistEncodersError):
    """An artifact that is missing, incomplete, altered or of the wrong kind."""


class MissingDependencyError(HeistEncodersError):
    """A package that this function needs and that is not installed."""


class EngineError(HeistEncodersError):
    """A state or level that the game engine cannot take."""


class ResourceError(HeistEncodersError):
    """Not enough CPUs, GPUs, memory or disk for what was asked."""


class HeistEncodersWarning(UserWarning):
    """Something that a user should know before trusting a result. The command line prints it as one line."""


def one_line(text: object) -> str:
    """What a file or another library's error about it says: at most 300 characters, all printable."""
    short = " ".join(str(text).split())[:300]
    return "".join(character if character.isprintable() else "?" for character in short)


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """A phrase that offers the known names closest to ``name``: ``did you mean 'a' or 'b'?``, else all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "known: " + ", ".join(known)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a ``name`` that is not among the ``known`` names of a ``kind`` of thing."""
    return UnknownNameError(f"unknown {kind} {name!r:.200}; {nearest(name, known)}")
