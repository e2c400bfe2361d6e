"""Old names in Python go on working, and say what the new ones are."""

from __future__ import annotations

import importlib

import pytest

from heist_encoders.deprecation import old_names
from heist_encoders.zoo import find_artifact
from heist_encoders.zoo.names import architectures

OLD = {
    "heist_encoders.policies.play": {
        "OraclePlayer": "OraclePolicy", "Player": "BatchPolicy", "RandomPlayer": "RandomPolicy", "Turn": "StepInput",
    },
    "heist_encoders.policies.policy": {"PolicyPlayer": "PolicyRunner"},
    "heist_encoders.rllib": {"RLlibPlayer": "RLlibPolicy"},
    "heist_encoders.zoo.names": {"families": "architectures", "family_of": "architecture_of"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("module", "old", "new"), [(module, old, new) for module, names in OLD.items() for old, new in names.items()]
)
def test_old_names_of_modules(module: str, old: str, new: str) -> None:
    there = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now called {module}.{new}") as caught:
        assert getattr(there, old) is getattr(there, new)
    assert caught[0].filename == __file__


def test_other_names_are_missing_as_ever() -> None:
    with pytest.raises(AttributeError, match=r"module 'heist_encoders\.zoo\.names' has no attribute 'familes'"):
        old_names("heist_encoders.zoo.names", {"families": "architectures"})("familes")


def test_the_family_of_an_artifact() -> None:
    artifact = find_artifact(next(iter(architectures())), None)
    with pytest.warns(DeprecationWarning, match="is now called Artifact.architecture") as caught:
        assert artifact.family == artifact.architecture
    assert caught[0].filename == __file__
