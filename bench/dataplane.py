"""`make bench-dataplane`: plan, apply and a run without changes over 1,000 deployments on a real API server.

Belongs here: the figures of the Kubernetes data plane and their targets.
Does not: the cluster (tests/cluster/harness). Pods are on KWOK's fake nodes, and Ready at once.
"""

from __future__ import annotations

import resource
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.figures import Figure, report
from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.dataplane.kubernetes.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.protocol import Applied
from slipway.runtimes.surroundings import StoreAddress, Surroundings
from tests.cluster.harness import addons, cluster, namespaces
from tests.cluster.harness.layout import Layout
from tests.cluster.harness.objects import Objects, client

DEPLOYMENTS = 1_000
# Rollouts are runs of their own; a pool of the data plane bounds how many are at it.
AT_ONCE = 8
_NODE, _PODS_PER_NODE = {"type": "bench"}, 100
_IMAGE = f"registry.bench/engine@sha256:{'a' * 64}"


def main() -> int:
    """Measure everything, print it, return the exit status."""
    return report(figures())


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with cluster.use(Layout.default(), lambda line: print(line, file=sys.stderr)) as running:
        api = client(running.kubeconfig)
        addons.start_kwok(running.layout, running.ports)
        with _namespace(Objects(api)) as namespace, _fake_nodes(Objects(api)):
            yield from measured(KubernetesApi(api), namespace)


@contextmanager
def _namespace(objects: Objects) -> Iterator[str]:
    name = f"bench-{uuid.uuid4().hex[:6]}"
    namespaces.create(objects, name, {})
    try:
        yield name
    finally:
        namespaces.delete(objects, name)
        namespaces.wait_until_gone(objects, [name])


@contextmanager
def _fake_nodes(objects: Objects) -> Iterator[None]:
    names = [f"bench-{number}" for number in range(DEPLOYMENTS // _PODS_PER_NODE)]
    for name in names:
        objects.call("POST", objects.path("v1", "Node"), addons.fake_node(name, labels=_NODE))
    try:
        yield
    finally:
        for name in names:
            objects.delete("v1", "Node", name)


def measured(api: KubernetesApi, namespace: str) -> Iterator[Figure]:
    """Apply, plan the same again, and plan new revisions beside what is there."""
    plane = Kubernetes(api, Surroundings(store=StoreAddress("http://s3:8333", "models"), namespace=namespace))
    wanted = [plane.render(deployment(number)) for number in range(DEPLOYMENTS)]
    count = sum(len(each.rendered["objects"]) for each in wanted)

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(plane.apply, wanted))
    applied_s = time.perf_counter() - began
    yield Figure("apply_objects_per_second", count / applied_s, 50, "/s", bound="least")

    took_s, calls = _timed_plan(api, plane, wanted, "none")
    yield Figure("no_change_run_1000_deployments", took_s, 15, "s")

    edited = [plane.render(deployment(number, args=("--max-num-seqs=64",))) for number in range(DEPLOYMENTS)]
    took_s, more_calls = _timed_plan(api, plane, edited, "create")
    yield Figure("plan_1000_deployments", took_s, 10, "s")
    yield Figure("plan_calls_per_kind_and_namespace", max(*calls.values(), *more_calls.values()), 4, "calls")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("memory_peak", peak_mib, 500, "MiB")


def _timed_plan(
    api: KubernetesApi, plane: Kubernetes, wanted: Sequence[Applied], action: str
) -> tuple[float, Counter[tuple[str, str, str]]]:
    api.calls = Counter()
    began = time.perf_counter()
    found = plane.diff_all(wanted)
    took_s = time.perf_counter() - began
    assert Counter(each.action for each in found) == {action: DEPLOYMENTS}
    return took_s, api.calls


def deployment(number: int, args: tuple[str, ...] = ()) -> ResolvedDeployment:
    """One of many, for fake nodes."""
    name = f"d{number:04d}"
    return ResolvedDeployment(
        deployment=Deployment(
            name=name,
            model="m",
            engine="e",
            runtime="vllm",
            args=args,
            node_selector=_NODE,
            tolerations=({"key": "kwok.x-k8s.io/node"},),
        ),
        engine=Engine(name="e", server="vllm"),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit="1" * 40),
        image=_IMAGE,
    )


if __name__ == "__main__":
    sys.exit(main())
