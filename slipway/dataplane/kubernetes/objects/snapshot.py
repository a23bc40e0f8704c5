"""The objects of Slipway in a cluster, by one list call per kind and namespace.

Belongs here: which lists are read, grouping. Does not: what follows (plan.py, prune.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.objects import prune
from slipway.dataplane.kubernetes.objects.prune import KindName
from slipway.runtimes.judging.objects import Object, Ref, labels_of, ref_of
from slipway.runtimes.rendering import identity

OWNED = f"{identity.MANAGED_BY}={identity.SLIPWAY}"

_AT_ONCE = 8


def labelled(applications: Iterable[str]) -> str:
    """The label selector of Slipway's objects of these applications."""
    return f"{OWNED},{identity.INSTANCE} in ({','.join(sorted(applications))})"


@dataclass(frozen=True)
class Snapshot:
    """Objects by reference, as they were when they were listed."""

    objects: Mapping[Ref, Object]

    def by_instance(self) -> dict[str, dict[Ref, Object]]:
        """Those of each application."""
        grouped: dict[str, dict[Ref, Object]] = {}
        for ref, obj in self.objects.items():
            grouped.setdefault(labels_of(obj).get(identity.INSTANCE, ""), {})[ref] = obj
        return grouped

    def autoscalers(self) -> list[Ref]:
        """Those of Slipway that write the replicas of something else."""
        return [ref for ref, obj in self.objects.items() if prune.is_autoscaler(ref) and prune.is_ours(obj)]

    def workloads(self) -> Iterator[Object]:
        """Objects that stand for a revision, and that Slipway itself applied."""
        kinds = frozenset(prune.workloads())
        for ref, obj in self.objects.items():
            if (ref.api_version, ref.kind) in kinds and prune.is_ours(obj):
                yield obj


def take(
    api: KubernetesApi, namespaces: Iterable[str], kinds: Iterable[KindName], labels: str = OWNED
) -> Snapshot:
    """List each kind in each namespace; a kind whose CRD is missing has no objects."""
    served = [kind for kind in dict.fromkeys(kinds) if api.serves(*kind)]
    wanted = [(kind, namespace) for namespace in dict.fromkeys(namespaces) for kind in served]

    def listed(asked: tuple[KindName, str]) -> tuple[Object, ...]:
        (api_version, kind), namespace = asked
        return api.list(api_version, kind, namespace, labels=labels).objects

    if not wanted:
        return Snapshot({})
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        return Snapshot({ref_of(obj): obj for objects in pool.map(listed, wanted) for obj in objects})
