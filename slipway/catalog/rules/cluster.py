"""Rules of what an API server would refuse: names, labels, variables. Found here, before anything is applied.

Belongs here: the syntax of Kubernetes and the names that meet there, judged offline.
Does not: what needs a runtime's adapter, such as how long a name may be (slipway.runtimes.rules), endpoints
(endpoints.py).
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names and .../labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.problems import FieldPath, Finding

_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
_LABEL_KEY = re.compile(
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_OBJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_VARIABLE = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
_OURS = re.compile(r"^(SLIPWAY_.*|AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY)$")


def aliases(catalog: Catalog) -> Iterator[Finding]:
    """The Service of an alias has no other deployment's name."""
    known = {each.name for each in catalog.deployments}
    for deployment in catalog.deployments:
        if deployment.alias and f"{deployment.name}-predictor" in known:
            message = (
                f"makes a Service {deployment.name}-predictor, as that deployment does. Rename one of them"
            )
            yield Finding("Deployment", deployment.name, ("alias",), message)


def labels(catalog: Catalog) -> Iterator[Finding]:
    """What selects nodes is written as labels are, and what is named as objects are."""
    for deployment in catalog.deployments:
        for key, value in deployment.node_selector.items():
            yield from _judged(deployment, ("node_selector", key), key, _LABEL_KEY, "no label's key")
            yield from _judged(deployment, ("node_selector", key), value, _LABEL_VALUE, "no label's value")
        for n, toleration in enumerate(deployment.tolerations):
            yield from _judged(
                deployment, ("tolerations", n, "key"), toleration.key, _LABEL_KEY, "no taint's key"
            )
        gpu = deployment.resources.gpu
        if gpu is not None and gpu.gpu_class is not None:
            where = ("resources", "gpu", "class")
            yield from _judged(
                deployment, where, gpu.gpu_class, _LABEL_VALUE, "no label's value, which it is on nodes"
            )
        for path, name in (
            (("isolation", "runtime_class"), deployment.isolation.runtime_class),
            (("resources", "volume_class"), deployment.resources.volume_class),
        ):
            if name is not None:
                yield from _judged(deployment, path, name, _OBJECT_NAME, "no object's name")


def label_key(deployment: Deployment, path: FieldPath, text: str) -> Iterator[Finding]:
    """A key of a label of nodes."""
    yield from _judged(deployment, path, text, _LABEL_KEY, "no label's key")


def label_value(deployment: Deployment, path: FieldPath, text: str) -> Iterator[Finding]:
    """Its value."""
    yield from _judged(deployment, path, text, _LABEL_VALUE, "no label's value")


def _judged(
    deployment: Deployment, path: FieldPath, text: str, pattern: re.Pattern[str], what: str
) -> Iterator[Finding]:
    if not pattern.match(text):
        message = (
            f"{what} on Kubernetes. Write letters, digits, - and . alone, letters or digits at both ends"
        )
        yield Finding("Deployment", deployment.name, path, message)


def variables(catalog: Catalog) -> Iterator[Finding]:
    """Variables have names that a pod takes, are given once, and are not those that Slipway sets."""
    for kind, documents in (("Deployment", catalog.deployments), ("Engine", catalog.engines)):
        for document in documents:
            for name in document.env:
                yield from _variable(kind, document.name, ("env", name), name)
    for deployment in catalog.deployments:
        given = Counter([*deployment.env, *(secret.name for secret in deployment.secrets)])
        for n, secret in enumerate(deployment.secrets):
            where = ("secrets", n, "name")
            yield from _variable("Deployment", deployment.name, where, secret.name)
            if given[secret.name] > 1:
                message = f"{secret.name} is given {given[secret.name]} times. Keep one of env and secrets"
                yield Finding("Deployment", deployment.name, where, message)


def _variable(kind: str, owner: str, path: FieldPath, name: str) -> Iterator[Finding]:
    if not _VARIABLE.match(name):
        message = f"{name!r} is no variable's name. Write letters, digits and _, such as HF_HOME"
        yield Finding(kind, owner, path, message, show_value=False)
    elif _OURS.match(name):
        message = f"{name} is set by Slipway itself. Remove it"
        yield Finding(kind, owner, path, message, show_value=False)
