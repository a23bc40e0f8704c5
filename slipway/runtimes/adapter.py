"""What a runtime says of itself: all that the rest of Slipway knows of it.

Belongs here: the form of it, with what is common where a runtime says nothing.
Does not: any runtime (its room), which there are (slipway.catalog.runtimes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.fields import Task
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import VLLM, ServerName
from slipway.runtimes.arguments.loading import Streams
from slipway.runtimes.arguments.owned import Owns
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from slipway.runtimes.rendering.rendered import Rendered
from slipway.runtimes.workload import Kind, WorkloadKind

# A revision's objects are named `<deployment>-<8 hex>`, and Kubernetes allows 63 characters.
LONGEST_NAME = 63 - len("-") - 8


@dataclass(frozen=True, kw_only=True)
class OnKubernetes:
    """The part of an adapter whose runtime makes objects in a cluster.

    `render` is pure; `render_beside` is given instead what else its workload is to hold, where deployments
    share one. `kinds` are those of its own beside the workloads; `reads` are resources (API group, name) that
    its operator makes of them, and that are only looked at.

    `namespace` is where all its objects lie, whatever a deployment says; None: where the deployment says.
    `pod_security` is the strictest level that its pods stand. `store_annotations` are what it reads on the
    Secret with the store's credentials.
    """

    render: Callable[[ResolvedDeployment, ClusterSettings], Rendered]
    workloads: tuple[WorkloadKind, ...]
    kinds: tuple[Kind, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    render_beside: (
        Callable[[ResolvedDeployment, ClusterSettings, Sequence[ResolvedDeployment]], Rendered] | None
    ) = None
    namespace: Callable[[ClusterSettings], str] | None = None
    pod_security: Literal["restricted", "baseline"] = "restricted"
    store_annotations: Callable[[StoreAddress], Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Example:
    """A deployment that a runtime honours: its engine's server, what it needs, what it can scale by.

    The table of fields adds one field to it at a time.
    """

    server: ServerName = VLLM
    fields: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=lambda: {"ongoing_requests": 4})


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One runtime.

    `servers` are those that it hosts; `without_image` those of them that run in the cluster's own
    environment. `refusals` are (field, reason) of everything in a deployment that it cannot honour; the
    engine is None where the question is of the field alone. `owns` are options and variables that it sets
    itself, besides those that Slipway sets for an engine everywhere. `streams` says of which servers it has
    weights streamed, and from where. `tasks` are what it lets through to a
    server, where that is less than the server does.

    What it gives its data plane is said by `kubernetes`, or by `application` for a plane of another kind.

    `passes_salts`: a `cache_salt` reaches a server that takes one; a frontend of its own may refuse it.

    For validating a revision: `question` are fields that a task's question needs besides, `listing` the query
    by which its list of models tells of a task.
    """

    servers: frozenset[ServerName]
    passes_salts: bool = True
    refusals: Callable[[Deployment, Engine | None], list[tuple[str, str]]]
    longest_name: Callable[[Deployment], int] = lambda _: LONGEST_NAME
    owns: Owns = field(default_factory=Owns)
    streams: Mapping[ServerName, Streams] = field(default_factory=dict)
    without_image: frozenset[ServerName] = frozenset()
    tasks: Mapping[ServerName, frozenset[Task]] = field(default_factory=dict)
    kubernetes: OnKubernetes | None = None
    application: Callable[[ResolvedDeployment], Mapping[str, Any]] | None = None
    question: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    listing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    example: Example = Example()

    def given(self, resolved: ResolvedDeployment, cluster: ClusterSettings) -> Any:
        """All that its cluster, or the cluster's operator, is given for a deployment, as plain JSON."""
        if self.kubernetes is not None:
            rendered = self.kubernetes.render(resolved, cluster)
            return [rendered.objects, rendered.public, rendered.operator_values]
        assert self.application is not None, "an adapter says kubernetes or application"
        return self.application(resolved)
