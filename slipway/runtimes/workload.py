"""Kinds of objects that a runtime makes, and what is particular about those that stand for a revision.

Belongs here: the form in which an adapter says it, and what holds for a plain Deployment, wherever it is
made.
Does not: any other kind (the rooms), applying and removing (slipway.dataplane).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from slipway.runtimes.judging import deployments
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.judging.verdict import Judge, Seen, Wanted


@dataclass(frozen=True)
class Kind:
    """One kind of object beside the workload. `goes` says when it is removed: with what leads requests in,
    before the workload, or with what its pods have mounted, after them.

    `resource` is its name in paths and rights.
    """

    api_version: str
    kind: str
    resource: str
    goes: Literal["with routes", "with mounts"]


@dataclass(frozen=True)
class Shared:
    """What is particular about a workload that several deployments share.

    `revisions` are those that it stands for, as itself says. `endpoint` is the base URL of one of them, by
    the one that was rendered. `without` is the workload as it was applied, less some applications; None:
    nothing is left of it.
    """

    revisions: Callable[[Object], Iterator[Wanted]]
    endpoint: Callable[[Object, Wanted, str], str]
    without: Callable[[Object, Collection[str]], Object | None]


@dataclass(frozen=True)
class OwnWord:
    """How a runtime is asked what it runs, where its status does not prove it: a pod's port and path.

    `pod` names the one to ask; None while there is none. The answer is `Seen.own_word`.
    """

    pod: Callable[[Wanted, Seen], str | None]
    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class WorkloadKind:
    """One kind of object whose status, with its pods, says whether a revision serves.

    `park` changes one as it was applied so that it stays at zero replicas; None: the kind cannot, and old
    revisions are removed. `is_scaled`: a first replica is woken by its scale subresource. `operator_writes`
    are fields that its operator fills in, and that Slipway takes back.
    """

    api_version: str
    kind: str
    resource: str
    judge: Judge
    park: Callable[[Object], None] | None = None
    is_scaled: bool = False
    operator_writes: tuple[str, ...] = ()
    own_word: OwnWord | None = None
    shared: Shared | None = None


def at_zero_replicas(workload: Object) -> None:
    """Parks what has a number of replicas."""
    workload["spec"]["replicas"] = 0


DEPLOYMENT = WorkloadKind(
    api_version="apps/v1",
    kind="Deployment",
    resource="deployments",
    judge=deployments.JUDGE,
    park=at_zero_replicas,
    is_scaled=True,
)
