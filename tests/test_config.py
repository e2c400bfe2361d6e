"""The base of all configurations: strict, but for numpy's scalars."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from heist_encoders.config import Config, one_of, read_yaml
from heist_encoders.data.manifest import DatasetSpec
from heist_encoders.errors import ConfigError, HeistEncodersError, UnknownNameError
from heist_encoders.json_text import read_json
from heist_encoders.training.config import TrainConfig


class Fruit(Config):
    """A configuration of every kind of value."""

    count: int = Field(default=1, ge=0)
    """how many"""
    weight: float = 0.5
    ripe: bool = False
    sizes: tuple[int, ...] = Field(default=(1,), strict=False)
    kind: Annotated[str, one_of(("apple", "pear"))] = "apple"


class Pear(Fruit):
    """Another default, the same description."""

    count: int = 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": np.int64(64)}, 64),
        ({"count": np.uint8(7)}, 7),
        ({"weight": np.float32(0.25)}, 0.25),
        ({"weight": np.float64(0.1)}, 0.1),
        ({"weight": np.int32(2)}, 2.0),
        ({"ripe": np.bool_(True)}, True),
        ({"sizes": [np.int64(3), np.int16(4)]}, (3, 4)),
        ({"kind": np.str_("pear")}, "pear"),
    ],
)
def test_numpy_scalars_become_python_values(given: dict[str, Any], expected: Any) -> None:
    (name,) = given
    for made in (Fruit.from_dict(given), Fruit(**given)):
        value = getattr(made, name)
        assert value == expected
        assert type(value) is type(expected)


def test_numpy_scalars_in_nested_configurations() -> None:
    config = TrainConfig.from_dict(
        {"autoencoder": "vae_paper", "params": {"latent_size": np.int64(64)}, "loss": {"beta": np.float32(0.5)}}
    )
    assert config.params["latent_size"] == 64
    assert config.loss.beta == 0.5
    assert config.to_dict()["params"]["latent_size"] == 64


@pytest.mark.parametrize(
    "given", [{"count": np.float64(2.0)}, {"count": np.int64(-1)}, {"ripe": np.int64(1)}, {"weight": np.float64("nan")}]
)
def test_numpy_scalars_are_checked_as_strictly(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        Fruit.from_dict(given)


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown kind 'aple'; did you mean 'apple'"):
        Fruit.from_dict({"kind": "aple"})
    with pytest.raises(UnknownNameError, match=r"^file: unknown kind"):
        Fruit.from_dict({"kind": "aple"}, where="file")


def test_resolve_takes_what_a_caller_may_have(tmp_path: Path) -> None:
    path = tmp_path / "fruit.yaml"
    path.write_text(Fruit(count=4, sizes=(1, 2)).to_yaml())
    assert Fruit.resolve(path) == Fruit(count=4, sizes=(1, 2))
    assert Fruit.resolve(str(path), count=5).count == 5
    assert Fruit.resolve(Fruit(count=4), kind="pear") == Fruit(count=4, kind="pear")
    assert Fruit.resolve({"count": 4}).count == 4
    assert Fruit.resolve() == Fruit()
    path.write_text("coun: 4\n")
    with pytest.raises(ConfigError, match=r"fruit\.yaml: unknown key 'coun'; did you mean 'count'"):
        Fruit.resolve(path, weight=1.0)
    with pytest.raises(UnknownNameError, match=r"unknown option 'wei'; did you mean 'weight'"):
        Fruit.resolve(wei=1.0)


def test_another_default_keeps_the_description() -> None:
    assert Pear.model_fields["count"].description == "how many"
    assert Pear().count == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' is given twice, in lines 1 and 3"),
        ("loss:\n  beta: 1\n  beta: 2\n", "the key 'beta' is given twice, in lines 2 and 3"),
        ("[{a: 1,\n a: 2}]", "the key 'a' is given twice"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    path.write_text("base: &base {a: 1}\nmine: {<<: *base, a: 2}\n", encoding="utf-8")
    assert read_yaml(path)["mine"] == {"a": 2}  # a merge may be overridden


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * 3_000, "nested too deeply"),
        ("a: !!int ''", "not valid YAML"),
        ("a: !!bool x", "not valid YAML"),
        ("a: 2001-99-99", "not valid YAML"),
        ("a: " + "9" * 5_000, "not valid YAML"),
        ("a: &a [*a]", "more than 100,000 values"),
        (
            "\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) or 1}]" for n in range(9)]).replace("*a-1", "1"),
            "more than",
        ),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("a: !!timestamp x", "not valid YAML"),
        ("a: 0x" + "f" * 9_000, "more than 64 bits"),
    ],
)
def test_hostile_yaml_is_one_line(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_yaml(file)
    assert "\n" not in str(caught.value)


def test_hostile_json_is_a_value_error(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(file)
    with file.open("wb") as big:
        big.truncate(65_000_000)
    with pytest.raises(ValueError, match="expected at most 64,000,000"):
        read_json(file)


@pytest.mark.parametrize("data", [{"seed": list(range(9_000))}, {"x" * 9_000: 1}, {"balance": "\x1b[2J" * 900}])
def test_what_was_given_is_quoted_in_short(data: dict[str, object]) -> None:
    with pytest.raises(HeistEncodersError) as caught:
        DatasetSpec.from_dict(data)
    assert len(str(caught.value)) < 1_000
    assert str(caught.value).isprintable()
