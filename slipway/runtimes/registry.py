"""Which runtimes there are, by the name that a deployment gives: what each renders and refuses.

Belongs here: the one table of them. Does not: whether this version deploys to one (slipway.control.check).
Plain Ray is not among the renderers: it takes an application, not objects (ray.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.dynamo import render as dynamo
from slipway.runtimes.kserve import render as kserve
from slipway.runtimes.kubeai import render as kubeai
from slipway.runtimes.kuberay import render as kuberay
from slipway.runtimes.nim import render as nim
from slipway.runtimes.ray import render as ray
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Rendered
from slipway.runtimes.vllm import render as vllm

Render = Callable[[ResolvedDeployment, ClusterSettings], Rendered]
Refusals = Callable[[Deployment, Engine | None], list[tuple[str, str]]]

RENDERERS: dict[str, Render] = {
    "vllm": vllm.render,
    "kubeai": kubeai.render,
    "kserve": kserve.render,
    "kuberay": kuberay.render,
    "nim": nim.render,
    "dynamo": dynamo.render,
}
REFUSALS: dict[str, Refusals] = {
    "ray": ray.refusals,
    "vllm": vllm.refusals,
    "kubeai": kubeai.refusals,
    "kserve": kserve.refusals,
    "kuberay": kuberay.refusals,
    "nim": nim.refusals,
    "dynamo": dynamo.refusals,
}


@dataclass(frozen=True)
class Refusal:
    """A field that a runtime cannot honour as it is written, why, and the runtimes that can."""

    field: str
    reason: str
    runtimes: tuple[str, ...]

    def __str__(self) -> str:
        can = f", or a runtime that can: {', '.join(self.runtimes)}" if self.runtimes else ""
        return f"{self.reason.rstrip('.')}{can}"


def refused(deployment: Deployment, engine: Engine | None, among: Collection[str]) -> Iterator[Refusal]:
    """What the deployment's runtime refuses; `among` are the runtimes that may be suggested instead."""
    for field, reason in REFUSALS[deployment.runtime](deployment, engine):
        others = (name for name in REFUSALS if name in among and name != deployment.runtime)
        can = tuple(name for name in others if field != "engine" and _honours(name, deployment, field))
        yield Refusal(field, reason, can)


def _honours(runtime: str, deployment: Deployment, field: str) -> bool:
    """Whether another runtime takes this field as it is; its engine would be another, too."""
    return all(refused_field != field for refused_field, _ in REFUSALS[runtime](deployment, None))
