"""Rules of what a deployment adds to its pods: labels, names of resources, paths that meet.

Belongs here: what an API server, or the pod's other volumes, would refuse, judged offline.
Does not: what a runtime cannot say (slipway.runtimes), syntax of labels (cluster.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.problems import Finding
from slipway.catalog.rules import cluster

_EXTENDED = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_CARDS = re.compile(r"^(nvidia\.com/(gpu|mig-).*|amd\.com/gpu.*|gpu\.intel\.com/.*)$")
# Where every pod has a volume of its own.
_TAKEN = ("/cache", "/tmp", "/dev/shm", "/models", "/etc/slipway")  # noqa: S108 (paths of a pod)


def placement(catalog: Catalog) -> Iterator[Finding]:
    """Labels of nodes are written as labels are."""
    for deployment in catalog.deployments:
        for n, rule in enumerate(deployment.placement.node_affinity):
            where = ("placement", "node_affinity", n)
            yield from cluster.label_key(deployment, (*where, "key"), rule.key)
            for value in rule.values:
                yield from cluster.label_value(deployment, (*where, "values"), value)
        for n, spread in enumerate(deployment.placement.spread):
            yield from cluster.label_key(deployment, ("placement", "spread", n, "over"), spread.over)


def extended_resources(catalog: Catalog) -> Iterator[Finding]:
    """Extended resources have a domain, and cards are asked for as cards."""
    for deployment in catalog.deployments:
        for name in deployment.resources.extended:
            where = ("resources", "extended", name)
            if not _EXTENDED.match(name):
                message = f"{name!r} is no extended resource. Write its domain and name, such as rdma/hca"
                yield Finding("Deployment", deployment.name, where, message, show_value=False)
            elif _CARDS.match(name):
                message = f"{name} are cards, which divide and cost. Ask for them in resources.gpu"
                yield Finding("Deployment", deployment.name, where, message, show_value=False)


def mounts(catalog: Catalog) -> Iterator[Finding]:
    """Each path is mounted once, and none that every pod has already."""
    for deployment in catalog.deployments:
        places = [
            (("volumes", n, "mount_path"), each.mount_path) for n, each in enumerate(deployment.volumes)
        ]
        places += [(("files", n, "path"), each.path) for n, each in enumerate(deployment.files)]
        times = Counter(path for _, path in places)
        for where, path in places:
            if times[path] > 1:
                message = f"is mounted {times[path]} times. Give each a path of its own"
                yield Finding("Deployment", deployment.name, where, message)
            elif where[0] == "volumes" and any(path == own or path.startswith(f"{own}/") for own in _TAKEN):
                message = "is where every pod has a volume of its own. Choose another path"
                yield Finding("Deployment", deployment.name, where, message)


RULES = (placement, extended_resources, mounts)
