"""`make bench-dataplane`: plan, apply and a run without changes over 1,000 deployments on a real API server.

Belongs here: the figures of the Kubernetes data plane and their targets.
Does not: the cluster (tests/cluster/harness), pods: no node takes them.
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
from tests.cluster.harness import cluster, namespaces
from tests.cluster.harness.layout import Layout
from tests.cluster.harness.objects import Objects, client

DEPLOYMENTS = 1_000
# Rollouts are runs of their own; a pool of the data plane bounds how many are at it.
AT_ONCE = 8
_IMAGE = f"registry.bench/engine@sha256:{'a' * 64}"


def main() -> int:
    """Measure everything, print it, return the exit status."""
    return report(figures())


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with cluster.use(Layout.default(), lambda line: print(line, file=sys.stderr)) as running:
        api = client(running.kubeconfig)
        with _namespace(Objects(api)) as namespace:
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


def measured(api: KubernetesApi, namespace: str) -> Iterator[Figure]:
    """Plan from nothing, apply, plan again; pods are not scheduled, as no node has the label."""
    plane = Kubernetes(api, Surroundings(store=StoreAddress("http://s3:8333", "models"), namespace=namespace))
    wanted = [plane.render(deployment(number)) for number in range(DEPLOYMENTS)]
    count = sum(len(each.rendered["objects"]) for each in wanted)

    took_s, calls = _timed_plan(api, plane, wanted, "create")
    yield Figure("plan_1000_deployments", took_s, 10, "s")
    yield Figure("plan_calls_per_kind_and_namespace", max(calls.values()), 4, "calls")

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(plane.apply, wanted))
    applied_s = time.perf_counter() - began
    yield Figure("apply_objects_per_second", count / applied_s, 50, "/s", bound="least")

    took_s, calls = _timed_plan(api, plane, wanted, "none")
    yield Figure("no_change_run_1000_deployments", took_s, 15, "s")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("memory_peak", peak_mib, 500, "MiB")


def _timed_plan(
    api: KubernetesApi, plane: Kubernetes, wanted: Sequence[Applied], action: str
) -> tuple[float, Counter[tuple[str, str, str]]]:
    api.calls.clear()
    began = time.perf_counter()
    found = plane.diff_all(wanted)
    took_s = time.perf_counter() - began
    assert Counter(each.action for each in found) == {action: DEPLOYMENTS}
    return took_s, api.calls


def deployment(number: int) -> ResolvedDeployment:
    """One of many: no node takes its pod, so that the API server and Slipway alone are measured."""
    name = f"d{number:04d}"
    return ResolvedDeployment(
        deployment=Deployment(
            name=name, model="m", engine="e", runtime="vllm", node_selector={"slipway.bench/none": "true"}
        ),
        engine=Engine(name="e", server="vllm"),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit="1" * 40),
        image=_IMAGE,
    )


if __name__ == "__main__":
    sys.exit(main())
