"""A promise of the house: a runtime is one room. What is neutral asks the registry, and names none.

Prose for people (messages, descriptions, docstrings) may name one; code may not.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from slipway.catalog.runtimes import RUNTIMES
from slipway.catalog.servers import ServerName
from slipway.runtimes import registry

CHECKOUT = Path(__file__).parents[3]
ROOTS = ("slipway", "resources", "assets", "sensors", "pipelines")

ROOMS = tuple(f"slipway/runtimes/{name}/" for name in RUNTIMES)
# Not rooms of runtimes, but of what has the name of one.
NAMESAKES = {
    "slipway/dataplane/ray/": "the data plane of Ray without Kubernetes, by its REST API",
    "slipway/engines/": "applications of Ray Serve, which import Ray itself",
    "slipway/stack/": "the embedded default, which starts a Ray node",
}
EXCEPTIONS = {
    "slipway/catalog/runtimes.py": "the registry: a line each",
    "slipway/catalog/servers.py": "the list of servers, of which some have a runtime's name",
    "slipway/environment.py": "names of variables, and where Ray without Kubernetes is",
    "slipway/dataplane/planes/connected.py": "which planes there are: it opens Ray's",
    "slipway/dataplane/planes/planes.py": "an application of Ray Serve is known by naming no data plane",
    "slipway/metering/shards/workers.py": "tasks on a cluster of Ray's, which serves no model there",
    "slipway/runtimes/rendering/cluster_settings.py": "keys of the user's file, by which runtimes are set",
}
# Kinds that others have, too.
COMMON_KINDS = {"Deployment", "Model"}


def neutral_modules() -> Iterator[Path]:
    for root in ROOTS:
        for path in sorted((CHECKOUT / root).rglob("*.py")):
            name = str(path.relative_to(CHECKOUT))
            if not name.startswith((*ROOMS, *NAMESAKES)) and name not in EXCEPTIONS:
                yield path


def named(source: str) -> list[str]:
    """Where code names a runtime: constants that are no prose, imports of rooms, identifiers."""
    tree = ast.parse(source)
    prose = {id(each) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    docstrings = {id(each.value) for each in ast.walk(tree) if id(each) in prose}  # type: ignore[attr-defined]
    found = []
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        found += [f"{getattr(node, 'lineno', 0)}: {each}" for each in _of_node(node)]
    return found


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
        if node.value in kinds() | set(RUNTIMES) or is_named(node.value):
            yield node.value
    elif isinstance(node, ast.ImportFrom | ast.Import):
        modules = [each.name for each in node.names]
        within = (
            [f"{node.module}.{each}" for each in modules] if isinstance(node, ast.ImportFrom) else modules
        )
        yield from (
            each for each in within if each.startswith(tuple(f"slipway.runtimes.{n}." for n in RUNTIMES))
        )
        yield from (each for each in within if each in {f"slipway.runtimes.{name}" for name in RUNTIMES})
    elif isinstance(node, ast.Name | ast.Attribute | ast.arg | ast.FunctionDef | ast.ClassDef | ast.alias):
        identifier = next(
            getattr(node, field) for field in ("id", "attr", "arg", "asname", "name") if hasattr(node, field)
        )
        if identifier and is_named(identifier):
            yield identifier


def is_named(text: str) -> bool:
    """By a word of it; one that is a server, too, may be meant: `vllm_args`, `vllm:num_requests_waiting`."""
    return bool((set(RUNTIMES) - set(get_args(ServerName))) & set(re.split(r"[^a-z0-9]+", text.lower())))


def kinds() -> set[str]:
    workloads = {each.kind for each in registry.workloads().values()}
    return (workloads | {each.kind for each in registry.kinds()}) - COMMON_KINDS


def test_no_neutral_module_names_a_runtime() -> None:
    modules = list(neutral_modules())
    assert len(modules) > 250
    assert {
        str(path.relative_to(CHECKOUT)): named(path.read_text())
        for path in modules
        if named(path.read_text())
    } == {}


@pytest.mark.parametrize("path", EXCEPTIONS)
def test_each_exception_is_still_one(path: str) -> None:
    assert named((CHECKOUT / path).read_text()) != []


@pytest.mark.parametrize(
    "line",
    [
        'if runtime == "kuberay": pass',
        'KINDS = ("ray.io/v1", "RayService")',
        "from slipway.runtimes.nim import render",
        "from slipway.runtimes import dynamo",
        "home = cluster.kubeai.namespace",
        "RAY = 1",
        "def sharing_ray_service(): ...",
    ],
)
def test_a_name_would_be_seen(line: str) -> None:
    assert named(line)


def test_prose_may_name_one() -> None:
    assert named('"""Of KubeAI: ray."""\nsaid = "is KubeAI\'s. Use another runtime"') == []
