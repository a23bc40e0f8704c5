"""The data plane of a Kubernetes cluster: any runtime that renders to objects.

Belongs here: joining plan, apply, wait, read and remove to the protocol.
Does not: any of them (the modules beside this one), what the objects look like (slipway.runtimes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from slipway.catalog.resolved import ResolvedDeployment
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.dataplane.kubernetes.cluster_parts import ClusterParts
from slipway.dataplane.kubernetes.objects import plan as planning
from slipway.dataplane.kubernetes.objects import recorded as records
from slipway.dataplane.kubernetes.objects import snapshot
from slipway.dataplane.kubernetes.objects.applied import as_applied
from slipway.dataplane.kubernetes.objects.apply import GONE_DEADLINE_S, Applier
from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
from slipway.dataplane.kubernetes.objects.prune import KindName, is_ours, kinds
from slipway.dataplane.kubernetes.serving import live, parking
from slipway.dataplane.kubernetes.serving.own_word import Ask, through_api_server
from slipway.dataplane.kubernetes.serving.reading import People
from slipway.dataplane.kubernetes.serving.waiting import Actions, wait
from slipway.dataplane.protocol import Difference, LiveApplication, Progress, Report
from slipway.records.revisions import Applied
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, Ref, ref_of
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.workload import Shared

Reach = Literal["dns", "cluster-ip"]
# Other deployments that share a workload with this one.
Beside = Callable[[ResolvedDeployment], Sequence[ResolvedDeployment]]


class Kubernetes:
    """One cluster as a data plane (slipway.dataplane.protocol.DataPlane).

    `reach` says how base URLs name Services: by DNS, or by address for who is on a node and not in a pod.
    `force` takes over every field that is in conflict.
    """

    def __init__(
        self,
        api: KubernetesApi,
        cluster: ClusterSettings,
        *,
        namespaces: Iterable[str] = (),
        reach: Reach = "dns",
        force: bool = False,
        gone_deadline_s: float = GONE_DEADLINE_S,
        beside: Beside = lambda _: (),
        ask: Ask | None = None,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._namespaces = tuple(dict.fromkeys([cluster.namespace, *namespaces]))
        self._reach = reach
        self._applier = Applier(api, force=force, gone_deadline_s=gone_deadline_s)
        self._beside = beside
        self._ask = ask or through_api_server(api)

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """What `apply` would send: pure, but for what shares a workload with it."""
        runtime = registry.on_cluster(resolved.deployment.runtime)
        if runtime.render_beside is not None:
            rendered = runtime.render_beside(resolved, self._cluster, self._beside(resolved))
        else:
            rendered = runtime.render(resolved, self._cluster)
        return records.record(resolved, rendered)

    def diff(self, wanted: Applied) -> Difference:
        """What `apply` would change, object by object; updates are confirmed by a server-side dry run."""
        objects = records.objects(wanted)
        plans = planning.plan(objects, self._there(wanted, objects))
        updates = self._applier.confirmed(
            [plan for plan in plans if plan.action == "update"], _by_ref(objects)
        )
        confirmed = {plan.ref: plan for plan in updates}
        return difference(wanted, [confirmed.get(plan.ref, plan) for plan in plans])

    def diff_all(self, wanted: Sequence[Applied]) -> tuple[Difference, ...]:
        """The same for many, from one list call per kind and namespace; nothing is confirmed by dry runs."""
        objects = [obj for applied in wanted for obj in records.objects(applied)]
        live_objects = snapshot.take(self._api, records.namespaces(objects), _kinds_of(objects))
        by_instance = live_objects.by_instance()
        differences = []
        for applied in wanted:
            own = records.objects(applied)
            there = {r: o for name in records.instances(own) for r, o in by_instance.get(name, {}).items()}
            plans = planning.plan(own, records.without_public(applied, there))
            differences.append(difference(applied, plans))
        return tuple(differences)

    def apply(self, wanted: Applied) -> None:
        """Send the objects, prune what the application does not have any more. Dry run of all comes first."""
        objects = records.objects(wanted)
        self._bring(objects, {} if self._is_new(wanted) else self._there(wanted, objects))

    def _is_new(self, wanted: Applied) -> bool:
        """Whether an application that is named for its revision has no workload yet.

        What a run that was killed made of it is what is wanted, so nothing is left over: no lists are read,
        which are a tenth of what applying costs the server.
        """
        named_for_revision = wanted.application != wanted.deployment
        return named_for_revision and self._api.get(records.workload(wanted)) is None

    def _there(self, wanted: Applied, objects: Sequence[Object]) -> dict[Ref, Object]:
        return records.without_public(wanted, self._snapshot(objects).objects)

    def publish(self, wanted: Applied) -> None:
        """Let stable names lead to this revision; harmless when they do."""
        self._bring_by_name(records.public(wanted))

    def _bring_by_name(self, objects: list[Object]) -> None:
        """Make objects so that no application owns; nothing goes."""
        there = {ref: self._api.get(ref) for ref in _by_ref(objects)}
        self._bring(objects, {ref: obj for ref, obj in there.items() if obj is not None and is_ours(obj)})

    def _bring(self, objects: list[Object], there: Mapping[Ref, Object]) -> None:
        """Make the objects so; of those found, what is not among them goes."""
        if not objects:
            return
        by_ref = _by_ref(objects)
        plans = planning.plan(objects, there)
        self._applier.carry_out(self._applier.confirmed(plans, by_ref), by_ref, lambda _: None)

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        """Return when the runtime truly serves this spec; see slipway.dataplane.kubernetes.serving."""
        actions = Actions(
            apply=lambda: self.apply(wanted),
            wake=lambda: self.wake(wanted),
            ask=self._ask,
        )
        wait(self._api, records.wanted(wanted), deadline_s, report, actions)

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        """Revisions of the deployment, or of all, also those that are parked at zero."""
        owned = live.workloads(self._api, self.namespaces(), deployment)
        return tuple(
            self._reachable(application)
            for application in live.Reader(self._api).applications(owned, deployment)
        )

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        """Apply a recorded revision again, and wait until it serves."""
        self.apply(good)
        self.wait(good, deadline_s, report)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        """Keep applications at zero replicas; returns those whose kind cannot, which are left as they are."""
        cannot = set(applications)
        for workload in self._workloads(applications):
            if parking.can_park(workload["kind"]):
                self._park(workload, report)
                cannot -= {wanted.application for wanted in live.wanted_of(workload)}
        return frozenset(cannot)

    def _park(self, workload: Object, report: Report) -> None:
        name = workload["metadata"]["name"]
        wanted = parking.parked(workload)
        if wanted is None or parking.is_parked(workload):
            return
        report(Progress(name, "parking", 0, 0, "kept at zero replicas"))
        scalers = self._snapshot([workload]).autoscalers()
        self._applier.delete(scalers, _saying(name, report))
        self._applier.apply(wanted)

    def wake(self, wanted: Applied) -> None:
        """Bring a first replica of a revision that an autoscaler has at zero."""
        ref = records.workload(wanted)
        if registry.workload(ref.kind).is_scaled:
            self._api.merge(ref, {"spec": {"replicas": 1}}, "scale")

    def delete(self, applications: frozenset[str], report: Report) -> None:
        """Remove applications in the order that drains, and wait until they are gone."""
        instances = set(applications)
        for workload, shared in self._shared(applications):
            applied = as_applied(workload)
            left = None if applied is None else shared.without(applied, applications)
            if left is None:
                instances.update(records.instances([workload]))
                continue
            report(Progress(workload["metadata"]["name"], "deleting", 0, 0, "taking applications out"))
            self._applier.apply(left)
        selected = snapshot.labelled(instances)
        labelled = snapshot.take(self._api, self.namespaces(), kinds(), selected)
        ours = [ref for ref, obj in labelled.objects.items() if is_ours(obj)]
        if ours:
            self._applier.delete(ours, _saying(min(applications), report))

    def endpoint(self, wanted: Applied) -> str:
        """OpenAI base URL of the revision's own Service."""
        address = records.address(wanted)
        return self._by_address(address.base_url, address.namespace, address.service)

    def cluster_parts(self) -> ClusterParts:
        """What stands around the deployments here: namespaces, gateways."""
        return ClusterParts(self._api, self._applier, self._cluster)

    def people(self) -> People:
        """What a person asks of the revisions here."""
        return People(self._api, self.namespaces())

    def namespaces(self) -> tuple[str, ...]:
        """Namespaces that this Slipway looks into: those it was told, and those that it made.

        Another one on the same cluster has another home, and what it serves is not ours to retire.
        """
        mine = f"{snapshot.OWNED},{identity.HOME}={self._cluster.namespace}"
        try:
            namespaces = self._api.list("v1", "Namespace", labels=mine).objects
        except ForbiddenError:
            namespaces = ()
        return tuple(
            dict.fromkeys([*self._namespaces, *(namespace["metadata"]["name"] for namespace in namespaces)])
        )

    def _snapshot(self, objects: Sequence[Object]) -> snapshot.Snapshot:
        selected = snapshot.labelled(records.instances(objects))
        return snapshot.take(self._api, records.namespaces(objects), _kinds_of(objects), selected)

    def _workloads(self, applications: frozenset[str]) -> list[Object]:
        owned = live.workloads(self._api, self.namespaces(), None)
        return [
            workload
            for workload in owned.workloads()
            if any(one.application in applications for one in live.wanted_of(workload))
        ]

    def _shared(self, applications: frozenset[str]) -> Iterator[tuple[Object, Shared]]:
        """Workloads that hold any of these, among others."""
        for workload in self._workloads(applications):
            shared = registry.workload(workload["kind"]).shared
            if shared is not None:
                yield workload, shared

    def _reachable(self, application: LiveApplication) -> LiveApplication:
        host = application.upstream.split("/")[2].split(":")[0] if application.upstream else ""
        service, _, rest = host.partition(".")
        namespace = rest.removesuffix(".svc")
        return replace(application, upstream=self._by_address(application.upstream, namespace, service))

    def _by_address(self, url: str, namespace: str, service: str) -> str:
        if self._reach == "dns" or not url:
            return url
        obj = self._api.get(Ref("v1", "Service", namespace, service))
        address = (obj or {}).get("spec", {}).get("clusterIP")
        return url.replace(f"{service}.{namespace}.svc", address) if address else url


def difference(wanted: Applied, plans: Sequence[ObjectPlan]) -> Difference:
    """The plane-neutral answer: one action for the application, and every field."""
    changed = [plan for plan in plans if plan.action != "none"]
    workload = records.workload(wanted)
    is_new = any(plan.ref == workload and plan.action == "create" for plan in plans)
    action: Literal["create", "update", "none"] = "create" if is_new else "update" if changed else "none"
    fields = tuple(
        f"{plan.ref.kind}/{plan.ref.name}: {change.field}" for plan in changed for change in plan.changes
    )
    detail = tuple(line for plan in changed for line in plan.lines())
    return Difference(action, wanted.application, fields, detail)


def _kinds_of(objects: Iterable[Object]) -> dict[KindName, None]:
    """Their kinds, then all others that Slipway makes."""
    return dict.fromkeys([*((each["apiVersion"], each["kind"]) for each in objects), *kinds()])


def _by_ref(objects: Iterable[Object]) -> dict[Ref, Object]:
    return {ref_of(each): each for each in objects}


def _saying(application: str, report: Report) -> Callable[[str], None]:
    return lambda line: report(Progress(application, "deleting", 0, 0, line))
