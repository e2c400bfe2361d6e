"""Autoencoders that live in packages of their own, made here and found by their entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "autoencoders.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The guide's first block of code in a language."""
    return GUIDE.split(f"```{language}\n", 1)[1].split("```", 1)[0]


ARCHITECTURE, SPACE = block("python"), block("yaml")


def install(site: Path, package: str, entry: str, modules: dict[str, str]) -> None:
    """Put a distribution into a folder that stands on the path, as pip would."""
    info = site / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[heist_encoders.autoencoders]\n{entry}\n")
    for name, text in modules.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    modules = {"my_nets/__init__.py": "", "my_nets/tiny_net.py": ARCHITECTURE, "my_nets/tiny_net.yaml": SPACE}
    install(
        site,
        "my-nets",
        next(line for line in block("toml").splitlines() if "TinyNet" in line).replace('"', ""),
        modules,
    )
    return site


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), root]),
        "HEIST_ENCODERS_HOME": str(site.parent / "home"),
    }
    command = [sys.executable, "-W", "always::RuntimeWarning", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)


def run(site: Path, code: str) -> tuple[Any, str]:
    """Run lines that print one JSON value in a fresh Python; the value and what stood on stderr."""
    done = python(site, "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_it_is_trained_searched_and_promoted_like_a_built_in_one(site: Path, tmp_path: Path) -> None:
    code = f"""
import json
import gymnasium
from heist_encoders.autoencoders import autoencoder_names, create_autoencoder
from heist_encoders.training import default_config
from heist_encoders.tuning import load_space
from heist_encoders.zoo import promote, save_artifact
from heist_encoders.envs import register_all
from tests.zoo.making import Played

config = default_config("tiny_net")
artifact = save_artifact({str(tmp_path / "made")!r}, create_autoencoder("tiny-net"), name="made",
    dataset=Played(), training=config.to_dict())
promote(artifact, "tiny_net")
register_all()
print(json.dumps([
    autoencoder_names(), config.params, config.learning_rate, load_space("tiny_net").searched,
    gymnasium.make("heist_encoders:tiny-net-v0").observation_space.shape,
]))
"""
    (names, params, rate, searched, shape), _ = run(site, code)
    assert names[:2] == ["conv_maxpool", "conv_maxpool_big"]
    assert names[-1] == "tiny_net"
    assert (params, rate) == ({"latent_size": 32}, 2e-3)
    assert searched == ["learning_rate", "params.latent_size"]
    assert shape == [32]


def test_the_command_line_lists_it(site: Path) -> None:
    done = python(site, "-m", "heist_encoders.cli.main", "list", "--autoencoders", "--json")
    row = json.loads(done.stdout)["autoencoders"][-1]
    assert (row["name"], row["env_id"], row["encoding_shape"]) == ("tiny_net", "tiny-net-v0", [32])


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_module", "(ModuleNotFoundError: No module named 'no_such_module')"),
        ("raise ValueError('two\\nlines')", "(ValueError: two lines)"),
        (ARCHITECTURE.replace("tiny_net", "vae_paper"), "autoencoder 'vae_paper' (vae-paper-v0) is taken by"),
    ],
)
def test_one_that_fails_is_one_line_and_the_others_stay(site: Path, module: str, reason: str) -> None:
    install(site, "broken-nets", "broken = broken_nets", {"broken_nets.py": module})
    code = "import json, heist_encoders.autoencoders as a; print(json.dumps(a.autoencoder_names()))"
    names, errors = run(site, code)
    assert {"vae_paper", "tiny_net"} <= set(names)
    warned = [line for line in errors.splitlines() if "RuntimeWarning" in line]
    assert len(warned) == 1
    assert "the autoencoder 'broken' of the package broken-nets 1.2 is left out" in warned[0]
    assert reason in warned[0]


def test_a_class_without_the_decorator_is_named(site: Path) -> None:
    module = ARCHITECTURE.replace('@register_autoencoder(name="tiny_net")', "")
    install(site, "plain-nets", "plain = plain_nets:TinyNet", {"plain_nets.py": module})
    code = "import json, heist_encoders.autoencoders as a; print(json.dumps(a.autoencoder_names()))"
    names, errors = run(site, code)
    assert names[-1] == "tiny_net"
    assert "plain_nets:TinyNet of the package plain-nets 1.2 is left out: it has no decorator" in errors


def test_importing_the_package_does_not_import_theirs(site: Path) -> None:
    code = "import json, sys, heist_encoders; print(json.dumps([m in sys.modules for m in ('torch', 'my_nets')]))"
    assert run(site, code)[0] == [False, False]
