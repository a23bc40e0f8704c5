"""`make bench-dataplane`: plan, apply and a run without changes over 1,000 deployments on a real API server.

Belongs here: the figures of the Kubernetes data plane and their targets.
Does not: the cluster (testbed/cluster). Pods are on KWOK's fake nodes, and Ready at once.
"""

from __future__ import annotations

import resource
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import orjson
from kubernetes.client import ApiClient

from bench.figures import Figure, report
from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.records.revisions import Applied
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from testbed.cluster import addons, cluster, namespaces
from testbed.cluster.layout import Layout
from testbed.cluster.objects import Objects, client

DEPLOYMENTS = 1_000
# The server's limit is measured between batches of ours, as both slow down while objects become more.
_BATCH, _BARE_BATCHES = 100, 5
# Of that limit, what counts as reaching it: two rates of one machine differ by as much from batch to batch.
_OF_LIMIT = 0.9
_LEAST_PER_S = 50.0
# Rollouts are runs of their own; a pool of the data plane bounds how many are at it.
AT_ONCE = 8
_NODE, _PODS_PER_NODE = {"type": "bench"}, 100
T = TypeVar("T")  # Python 3.11 has no type parameters yet
_IMAGE = f"registry.bench/engine@sha256:{'a' * 64}"


def main() -> int:
    """Measure everything, print it, return the exit status."""
    return report(figures())


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with cluster.use(Layout.default(), lambda line: print(line, file=sys.stderr)) as running:
        api = client(running.kubeconfig)
        addons.start_kwok(running.layout, running.ports)
        objects = Objects(api)
        with _namespace(objects) as namespace, _namespace(objects) as other, _fake_nodes(objects):
            yield from measured(KubernetesApi(api), namespace, BareClient(api, other))


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
    pods = DEPLOYMENTS + _BARE_BATCHES * _BATCH
    names = [f"bench-{number}" for number in range(pods // _PODS_PER_NODE)]
    for name in names:
        objects.call("POST", objects.path("v1", "Node"), addons.fake_node(name, labels=_NODE))
    try:
        yield
    finally:
        for name in names:
            objects.delete("v1", "Node", name)


class BareClient:
    """Sends what applying must send, a dry run and then each object, and does nothing else.

    No list, no comparison, no reading of answers, bodies made beforehand: the server's limit.
    """

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._objects = Objects(api)

    def prepared(self, wanted: Applied) -> list[tuple[str, bytes]]:
        """URLs and bodies of an application's objects, for this client's namespace."""
        return [self._prepared(each) for each in wanted.rendered["objects"]]

    def _prepared(self, obj: Object) -> tuple[str, bytes]:
        moved = {**obj, "metadata": {**obj["metadata"], "namespace": self._namespace}}
        path = self._objects.path(obj["apiVersion"], obj["kind"], self._namespace, obj["metadata"]["name"])
        query = "fieldManager=slipway&force=false&fieldValidation=Strict"
        return f"{self._api.configuration.host}{path}?{query}", orjson.dumps(moved)

    def apply(self, prepared: Sequence[tuple[str, bytes]]) -> None:
        """Both rounds. Raises AssertionError when one is refused."""
        for more in ("&dryRun=All", ""):
            for url, body in prepared:
                self._patch(url + more, body)

    def _patch(self, url: str, body: bytes) -> None:
        headers = {"Content-Type": "application/apply-patch+yaml"}
        answer = self._api.rest_client.pool_manager.request("PATCH", url, body=body, headers=headers)
        assert answer.status in (200, 201), answer.data


@dataclass
class Rate:
    """Objects applied, and in which time."""

    count: int = 0
    took_s: float = 0.0

    def run(self, apply: Callable[[T], None], items: Sequence[T], count: int) -> None:
        """Apply them, as many at once as rollouts are."""
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(apply, items))
        self.took_s += time.perf_counter() - began
        self.count += count

    @property
    def per_s(self) -> float:
        """Objects per second."""
        return self.count / self.took_s


def measured(api: KubernetesApi, namespace: str, bare: BareClient) -> Iterator[Figure]:
    """Apply, plan the same again, and plan new revisions beside what is there."""
    plane = Kubernetes(
        api, ClusterSettings(store=StoreAddress("http://s3:8333", "models"), namespace=namespace)
    )
    wanted = [plane.render(deployment(number)) for number in range(DEPLOYMENTS)]

    ours, limit = _applied(plane, bare, wanted)
    print(f"a bare client that sends the same applies and dry runs: {limit:.1f}/s", file=sys.stderr)
    yield Figure("apply_objects_per_second", ours, min(_LEAST_PER_S, _OF_LIMIT * limit), "/s", bound="least")

    took_s, calls = _timed_plan(api, plane, wanted, "none")
    yield Figure("no_change_run_1000_deployments", took_s, 15, "s")

    edited = [plane.render(deployment(number, args=("--max-num-seqs=64",))) for number in range(DEPLOYMENTS)]
    took_s, more_calls = _timed_plan(api, plane, edited, "create")
    yield Figure("plan_1000_deployments", took_s, 10, "s")
    yield Figure("plan_calls_per_kind_and_namespace", max(*calls.values(), *more_calls.values()), 4, "calls")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("memory_peak", peak_mib, 500, "MiB")


def _applied(plane: Kubernetes, bare: BareClient, wanted: Sequence[Applied]) -> tuple[float, float]:
    """Objects per second, ours and the bare client's, batch by batch in turns."""
    ours, limit = Rate(), Rate()
    for number, start in enumerate(range(0, len(wanted), _BATCH)):
        batch = wanted[start : start + _BATCH]
        count = sum(len(each.rendered["objects"]) for each in batch)
        if number % 2 == 0 and number // 2 < _BARE_BATCHES:
            limit.run(bare.apply, [bare.prepared(each) for each in batch], count)
        ours.run(plane.apply, batch, count)
    return ours.per_s, limit.per_s


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
