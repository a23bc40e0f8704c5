"""Adapters by the runtime's name, each loaded when it is first asked for; and what all of them say together.

Belongs here: loading, and collecting for who is neutral: kinds, namespaces.
Does not: which runtimes there are (slipway.catalog.runtimes), what one says (its room).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from slipway.catalog.runtimes import RUNTIMES
from slipway.runtimes.adapter import Adapter, OnKubernetes
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.workload import Kind, WorkloadKind


def adapter(runtime: str) -> Adapter:
    """One runtime's."""
    return _loaded(RUNTIMES[runtime].adapter)


def adapters() -> dict[str, Adapter]:
    """All of them, in the order of the registry."""
    return {name: _loaded(each.adapter) for name, each in RUNTIMES.items()}


def on_cluster(runtime: str) -> OnKubernetes:
    """How one runtime is in a cluster; raises LookupError where it needs another kind of data plane."""
    part = adapter(runtime).kubernetes
    if part is None:
        raise LookupError(f"runtime {runtime} makes no objects in a cluster")
    return part


def on_kubernetes() -> tuple[OnKubernetes, ...]:
    """Those that make objects in clusters."""
    return tuple(each.kubernetes for each in adapters().values() if each.kubernetes is not None)


def workload(kind: str) -> WorkloadKind:
    """What is particular about one kind of workload."""
    return workloads()[kind]


def workloads() -> Mapping[str, WorkloadKind]:
    """Every kind that stands for a revision, by its name."""
    return _workloads(_modules())


def kinds() -> tuple[Kind, ...]:
    """Every other kind that one runtime alone makes."""
    return tuple(kind for each in on_kubernetes() for kind in each.kinds)


def homes(cluster: ClusterSettings) -> tuple[str, ...]:
    """Namespaces that are a runtime's own."""
    return tuple(each.namespace(cluster) for each in on_kubernetes() if each.namespace is not None)


def _modules() -> tuple[str, ...]:
    return tuple(each.adapter for each in RUNTIMES.values())


@functools.cache
def _loaded(module: str) -> Adapter:
    loaded: Adapter = importlib.import_module(module).ADAPTER
    return loaded


@functools.cache
def _workloads(modules: tuple[str, ...]) -> Mapping[str, WorkloadKind]:
    parts = (_loaded(module).kubernetes for module in modules)
    return MappingProxyType({kind.kind: kind for part in parts if part for kind in part.workloads})
