"""Custom resource definitions for tests: copies in testbed/crds, and those that came with a built operator.

Belongs here: installing them. Does not: choosing them (each test asks for what it needs).
"""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from testbed.cluster.layout import CHECKOUT
from testbed.cluster.objects import Object, Objects, condition, eventually, load

DIRECTORY = CHECKOUT / "testbed" / "crds"


def install(objects: Objects, names: Iterable[str]) -> None:
    """Install the definitions of testbed/crds by file name without `.json`; wait until they are served."""
    apply(objects, [json.loads(_file(name).read_text()) for name in names])


def install_files(objects: Objects, paths: Iterable[Path]) -> None:
    """Install every definition in these files; other kinds in them are left out."""
    documents = [each for path in paths if path.name != "kustomization.yaml" for each in load(path)]
    apply(objects, [each for each in documents if each["kind"] == "CustomResourceDefinition"])


def apply(objects: Objects, definitions: list[Object]) -> None:
    """Apply, and wait until the API server serves them. Raises AssertionError when one is refused."""
    for each in definitions:
        _without_webhooks(each)
    objects.apply(definitions)
    for each in definitions:
        named = each["metadata"]["name"]
        eventually(partial(_is_served, objects, each), f"the definition {named} is served")


def _without_webhooks(definition: Object) -> None:
    """A conversion webhook of an operator that does not run would refuse every object."""
    if definition["spec"].get("conversion", {}).get("strategy") == "Webhook":
        definition["spec"]["conversion"] = {"strategy": "None"}


def _is_served(objects: Objects, definition: Object) -> bool:
    """Established, and in the discovery that clients read, which comes a moment later."""
    named, spec = definition["metadata"]["name"], definition["spec"]
    found = objects.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", named)
    if condition(found, "Established") != "True":
        return False
    discovered = KubernetesApi(objects.api).kinds()
    versions = [each["name"] for each in spec["versions"] if each["served"]]
    return all((f"{spec['group']}/{each}", spec["names"]["kind"]) in discovered for each in versions)


def _file(name: str) -> Path:
    path = DIRECTORY / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in DIRECTORY.glob("*.json")))
        raise LookupError(f"{DIRECTORY} has no {name}.json; there are: {known}")
    return path
