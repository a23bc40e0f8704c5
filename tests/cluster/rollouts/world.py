"""A catalog of one deployment, what it is deployed to, and what a test asks of both.

Belongs here: editing the catalog, deploying it, reading what is there.
Does not: making the servers (conftest.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from slipway.catalog.resolved import ResolvedDeployment, resolve
from slipway.control.check import check_catalog
from slipway.dataplane.planes.connected import connected
from slipway.dataplane.planes.planes import Planes
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import RouteStore
from slipway.runtimes.rendering import identity
from testbed.cluster.objects import Objects

from . import deploying

ENDPOINT = "public"
PRICE = {
    "effective_from": "2026-01-01T00:00:00Z",
    "input": "0.10",
    "cached_input": "0.025",
    "output": "0.40",
}
_DEPLOYMENT: Mapping[str, Any] = {
    "model": "smollm2",
    "runtime": "vllm",
    "engine": "llama",
    "args": ["--ctx-size=512", "--parallel=2"],
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "rollout": {"deadline_s": 120, "drain_s": 20},
    "sharing": ["acme"],
    "price": "standard",
}


@dataclass
class World:
    """A catalog, the servers that it is deployed to, and what was found there."""

    catalog: Path
    namespace: str
    objects: Objects
    store: ObjectStore
    engine: Mapping[str, Any]
    source: str
    system: str
    variables: dict[str, str] = field(repr=False)
    endpoint: dict[str, Any] = field(default_factory=dict)

    def write(self, **fields: Any) -> None:
        """The catalog with one deployment `chat`; `fields` are edits of it. `engine_fields` of its engine."""
        engine = {**self.engine, **fields.pop("engine_fields", {})}
        documents = [
            ("Model", "smollm2", {"source": self.source}),
            ("Engine", "llama", engine),
            ("Deployment", "chat", {**_DEPLOYMENT, **fields}),
            ("Endpoint", ENDPOINT, {"host": "llm.example", **self.endpoint}),
            ("Organization", "acme", {}),
            ("PriceBook", "standard", {"currency": "EUR", "prices": [PRICE]}),
        ]
        text = yaml.safe_dump_all({"kind": k, "name": n, "spec": s} for k, n, s in documents)
        (self.catalog / "catalog.yaml").write_text(text)

    def deploy(self, **fields: Any) -> dg.ExecuteInProcessResult:
        """Edit the catalog, and run everything that follows."""
        self.write(**fields)
        return deploying.deploy(self.catalog, self.variables)

    @property
    def revisions(self) -> RevisionStore:
        """Records of what was rolled out."""
        return RevisionStore(self.store)

    @property
    def plane(self) -> Planes:
        """The data planes that the environment names."""
        return connected(Environment.load(self.variables))

    def routed(self) -> str:
        """The spec digest that the published routes name."""
        (route,) = RouteStore(self.store).latest().table.routes
        return route.revision

    def serving(self) -> set[str]:
        """Spec digests that serve in the cluster now."""
        return {each.spec_digest for each in self.plane.status("chat") if each.is_serving}

    def applications(self) -> set[str]:
        """All revisions that are in the cluster and are not parked."""
        return {each.spec_digest for each in self.plane.status("chat") if not each.is_parked}

    def parked(self) -> set[str]:
        """All revisions that are kept at zero for rolling back."""
        return {each.spec_digest for each in self.plane.status("chat") if each.is_parked}

    def validated(self) -> set[str]:
        """All revisions whose record says that they were good."""
        return {each.spec_digest for each in self.revisions.all("chat") if each.state == "validated"}

    def resolved(self) -> ResolvedDeployment:
        """What the catalog wants."""
        catalog = check_catalog(self.catalog).catalog
        return resolve(catalog, catalog.deployments[0], {})

    def pod_digests(self) -> set[str]:
        """Spec digests of all engines' pods, also of those that are ending."""
        found = self.objects.list("v1", "Pod", self.namespace, identity.DEPLOYMENT)
        return {each["metadata"]["annotations"][identity.SPEC_DIGEST] for each in found}
