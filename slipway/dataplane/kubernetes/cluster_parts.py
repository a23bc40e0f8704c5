"""A cluster around its deployments: what a data plane holds for all of them, and the gateway of an Endpoint.

Belongs here: which objects that takes, bringing them, and waiting until the gateway serves.
Does not: what each looks like (slipway.runtimes), comparing and applying (keeping.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Endpoint
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.watch import Watch
from slipway.dataplane.kubernetes.keeping import Keeper, Place, Say, WantedParts
from slipway.dataplane.kubernetes.objects import snapshot
from slipway.dataplane.kubernetes.objects.apply import Applier
from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
from slipway.dataplane.kubernetes.serving.waiting import Actions, wait
from slipway.dataplane.protocol import Report
from slipway.runtimes.cluster import edge, gateway, gateway_judge, gpu_sharing, namespaces
from slipway.runtimes.cluster.edge_status import EdgeStatus, status_of
from slipway.runtimes.judging.objects import Ref, labels_of, ref_of
from slipway.runtimes.judging.verdict import Target
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings

# A gateway starts within seconds; a first pull of its image may take minutes.
GATEWAY_DEADLINE_S = 300.0
# A controller of gateways accepts within seconds, or there is none; then its proxies have to start.
_ACCEPTED_S, _PROGRAMMED_S = 3.0, 30.0
_FIRST_LIST_S = 30.0

_INSIDE = (
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"),  # of versions before spools had volumes
    ("v1", "Service"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "ServiceAccount"),
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("cert-manager.io/v1", "Certificate"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
)
_ADDRESSES = (("metallb.io/v1beta1", "IPAddressPool"), ("metallb.io/v1beta1", "L2Advertisement"))
_EDGE = frozenset({"Gateway", "Certificate"})


@dataclass(frozen=True)
class Serving:
    """A gateway that serves: what was done, where pods find it, and what is known of its public side."""

    done: tuple[ObjectPlan, ...]
    base_url: str
    edge: EdgeStatus


class ClusterParts:
    """What stands around the deployments of one cluster."""

    def __init__(self, api: KubernetesApi, applier: Applier, cluster: ClusterSettings) -> None:
        self._api = api
        self._keeper = Keeper(api, applier)
        self._cluster = cluster

    def data_plane(self, deployments: Sequence[Deployment], endpoints: Sequence[Endpoint]) -> WantedParts:
        """Namespaces of these deployments and of these endpoints' gateways, and the cluster's shared cards.

        Gateways of other endpoints, which Slipway made from this home, are left over.
        """
        cluster = self._cluster
        also = [cluster.gateway.namespace] if endpoints else []
        made = namespaces.objects(deployments, cluster, also)
        if cluster.gpu_operator_namespace is not None:
            made += gpu_sharing.objects(deployments, cluster, cluster.gpu_operator_namespace)
        known = {each.name for each in endpoints}
        homes = [each["metadata"]["name"] for each in made if each["kind"] == "Namespace"]
        quotas = [Place("v1", "ResourceQuota", name, snapshot.OWNED) for name in homes]
        places = [*quotas, *self._gateway_places(gateway.ENDPOINT, sure=also)]
        return WantedParts(made, places, keep=lambda obj: labels_of(obj).get(gateway.ENDPOINT) in known)

    def gateway(self, endpoint: Endpoint, deployments: Sequence[Deployment]) -> WantedParts:
        """The gateway of an endpoint, and its public side; `deployments` are the catalog's.

        Raises RenderError without an image.
        """
        cluster = self._cluster
        inside = gateway.objects(endpoint, cluster)
        made = [*inside, *edge.objects(endpoint, deployments, cluster)]
        sure = {str(each["metadata"]["namespace"]) for each in made}
        return WantedParts(made, self._gateway_places(f"{gateway.ENDPOINT}={endpoint.name}", sure))

    def no_gateways(self) -> WantedParts:
        """Nothing of any endpoint that Slipway made from this home."""
        return WantedParts([], self._gateway_places(gateway.ENDPOINT, sure=()))

    def plans(self, wanted: WantedParts, *, confirmed: bool = False) -> tuple[ObjectPlan, ...]:
        """What would happen to each object; see Keeper.plans."""
        return self._keeper.plans(wanted, confirmed=confirmed)

    def bring(self, wanted: WantedParts, say: Say) -> tuple[ObjectPlan, ...]:
        """Make it so, and return what was done. Raises DataPlaneError."""
        return self._keeper.bring(wanted, say)

    def serve(
        self, endpoint: Endpoint, deployments: Sequence[Deployment], say: Say, report: Report
    ) -> Serving:
        """Bring a gateway, and wait until every replica is ready and of this spec.

        Of the public side it is told what is known: there may be no controller of it. Raises NotServingError.
        """
        wanted = self.gateway(endpoint, deployments)
        # What is left over serves until this does.
        grown = replace(wanted, leftovers=())
        done = self.bring(grown, say)
        workload = gateway.workload(endpoint, self._cluster)
        ref = Ref(workload.api_version, workload.kind, workload.namespace, workload.name)
        rendered = next(each for each in wanted.objects if ref_of(each) == ref)
        actions = Actions(
            apply=lambda: _nothing(self.bring(grown, say)), wake=lambda: None, ask=lambda *_: None
        )
        judged = gateway_judge.wanted(endpoint.name, ref, rendered)
        # Replicas are renewed one after the other, and each may take its grace to end.
        deadline_s = GATEWAY_DEADLINE_S + endpoint.gateway_replicas * gateway.GRACE_S
        wait(self._api, judged, deadline_s, report, actions, judge=gateway_judge.JUDGE)
        done += self.bring(wanted, say)
        changed = any(plan.ref.kind in _EDGE for plan in done)
        status = self._edge_status(endpoint, ref.namespace, is_new=changed)
        return Serving(done, f"http://{ref.name}.{ref.namespace}.svc:{gateway.PORT}/v1", status)

    @property
    def store_secret(self) -> str:
        """Name of the Secret with the store's credentials, in every namespace."""
        return self._cluster.store.secret

    def missing_store_secrets(self, wanted: WantedParts) -> tuple[str, ...]:
        """Of the namespaces, those without the Secret that pods read the store with."""
        homes = [each["metadata"]["name"] for each in wanted.objects if each["kind"] == "Namespace"]
        return tuple(
            home for home in homes if self._api.get(Ref("v1", "Secret", home, self.store_secret)) is None
        )

    def _gateway_places(self, label: str, sure: Collection[str]) -> list[Place]:
        cluster = self._cluster
        labels = f"{snapshot.OWNED},{identity.HOME}={cluster.namespace},{label}"
        kinds = [(cluster.gateway.namespace, kind_name) for kind_name in _INSIDE]
        kinds += [(cluster.metallb_namespace, kind_name) for kind_name in _ADDRESSES]
        return [
            Place(api_version, kind, namespace, labels, is_other=namespace not in sure)
            for namespace, (api_version, kind) in kinds
        ]

    def _edge_status(self, endpoint: Endpoint, namespace: str, *, is_new: bool) -> EdgeStatus:
        targets = [
            Target(api_version, kind, namespace, labels=f"{gateway.ENDPOINT}={endpoint.name}")
            for api_version, kind in _INSIDE
            if kind in _EDGE and self._api.serves(api_version, kind)
        ]
        began = time.monotonic()
        with Watch(self._api, targets) as watch:
            watch.wait_until_listed(_FIRST_LIST_S)
            while True:
                version = watch.version
                status = status_of(obj for target in targets for obj in watch.objects(target))
                patience_s = (_PROGRAMMED_S if status.is_seen else _ACCEPTED_S) if is_new else 0.0
                left_s = began + patience_s - time.monotonic()
                if status.is_complete or left_s <= 0:
                    return status
                watch.wait_for_change(version, left_s)


def _nothing(_: object) -> None:
    return None
