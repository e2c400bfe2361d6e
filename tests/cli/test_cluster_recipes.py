"""The cluster recipes fit their schemas, the package's range of Ray, and the command line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cli.helpers import Cli

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "cluster"
COMMAND = re.compile(r"heist-encoders generate [^\"]*?--workers \d+")

CONTAINERS = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["containers"],
            "properties": {
                "containers": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name", "image"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
                            "image": {"type": "string"},
                            "resources": {
                                "type": "object",
                                "additionalProperties": False,
                                "properties": {
                                    part: {"type": "object", "additionalProperties": {"type": "string"}}
                                    for part in ("limits", "requests")
                                },
                            },
                        },
                    },
                }
            },
        }
    },
}
START_PARAMS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
RAY_JOB = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "spec": {
            "type": "object",
            "required": ["entrypoint", "rayClusterSpec"],
            "additionalProperties": False,
            "properties": {
                "entrypoint": {"type": "string"},
                "backoffLimit": COUNT,
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": COUNT,
                "rayClusterSpec": {
                    "type": "object",
                    "required": ["headGroupSpec"],
                    "additionalProperties": False,
                    "properties": {
                        "rayVersion": {"type": "string"},
                        "headGroupSpec": {
                            "type": "object",
                            "required": ["template"],
                            "additionalProperties": False,
                            "properties": {"rayStartParams": START_PARAMS, "template": CONTAINERS},
                        },
                        "workerGroupSpecs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                                "additionalProperties": False,
                                "properties": {
                                    "groupName": {"type": "string"},
                                    "replicas": COUNT,
                                    "minReplicas": COUNT,
                                    "maxReplicas": COUNT,
                                    "rayStartParams": START_PARAMS,
                                    "template": CONTAINERS,
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""The fields that the recipe uses, as KubeRay's reference of ``ray.io/v1`` describes them."""


def read(name: str) -> Any:
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


def test_the_cluster_fits_rays_own_schema() -> None:
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    recipe = read("ray-cluster.yaml")
    jsonschema.validate(recipe, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "max_workres": 3}, schema)


def test_workers_on_aws_have_a_role_for_the_bucket() -> None:
    """Ray itself gives one to the head only."""
    assert read("ray-cluster.yaml")["available_node_types"]["worker"]["node_config"]["IamInstanceProfile"]["Arn"]


def test_the_ray_job_fits_its_schema() -> None:
    recipe = read("rayjob.yaml")
    jsonschema.validate(recipe, RAY_JOB)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "spec": {**recipe["spec"], "entryPoint": "x"}}, RAY_JOB)


def test_versions_are_those_that_the_package_wants() -> None:
    from packaging.requirements import Requirement

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (wanted,) = (Requirement(text) for text in re.findall(r'^ {2}"(ray\[.*)",$', project, re.MULTILINE))
    said = re.findall(
        r"(?:ray:|rayVersion: \")(\d+\.\d+\.\d+)", "".join(path.read_text() for path in RECIPES.iterdir())
    )
    assert len(said) == 2
    assert all(version in wanted.specifier for version in said)


@pytest.mark.parametrize("name", ["ray-cluster.yaml", "rayjob.yaml"])
def test_commands_are_understood(name: str, cli: Cli) -> None:
    text = re.sub(r"\n#? *", " ", (RECIPES / name).read_text(encoding="utf-8"))
    (command,) = COMMAND.findall(text)
    shown = cli.ok(*shlex.split(command)[1:], "--show-config").out
    assert "1000000000" in shown.replace("_", "")
