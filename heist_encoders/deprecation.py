"""Old names in Python that go on working for one version. Those of options are ``Config.renamed``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping


def old_names(
    module: str, names: Mapping[str, str], others: Callable[[str], object] | None = None
) -> Callable[[str], object]:
    """The ``__getattr__`` of a module in which names have changed.

    Args:
        module: the module's ``__name__``.
        names: old name -> new name.
        others: the ``__getattr__`` that the module has for its other names.

    Returns:
        A function that gives what stands under the new name, with a DeprecationWarning.
    """

    def find(name: str) -> object:
        if name not in names:
            if others is not None:
                return others(name)
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_of_old_name(f"{module}.{name}", f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return find


def warn_of_old_name(old: str, new: str) -> None:
    """Warn the caller of this function's caller, who used ``old``, that it is now called ``new``."""
    warnings.warn(f"{old} is now called {new}", DeprecationWarning, stacklevel=3)
