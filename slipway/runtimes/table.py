"""`python -m slipway.runtimes.table docs/runtimes.md`: which runtime honours which field, found by trying.

Belongs here: rendering every sample on every runtime, judging the difference, and writing it as Markdown.
Does not: the samples (samples.py), the prose around the table (the page).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Literal, get_args

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.fields import Task
from slipway.catalog.files.generated import GeneratedPart
from slipway.catalog.resolved import ResolvedArtifact, ResolvedDeployment
from slipway.catalog.runtimes import RUNTIMES
from slipway.runtimes import registry, tasks
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName, Pods, StoreAddress
from slipway.runtimes.samples import ELSEWHERE, SAMPLES, Fields, Sample

_IMAGE = f"registry.local/engine@sha256:{'0' * 64}"
# A cluster in which nothing is missing.
CLUSTER_SETTINGS = ClusterSettings(
    store=StoreAddress("http://s3.storage.svc:8333", "models"),
    slipway_image=_IMAGE,
    pull_secrets=("registry",),
    prometheus_url="http://prometheus.monitoring.svc:9090",
    prometheus=Pods("monitoring", {"app": "prometheus"}),
    internal_gateway=ObjectName("slipway-system", "internal"),
    weights_claim="weights",
)


@dataclass(frozen=True)
class Treatment:
    """What became of one sample on one runtime; `said` is the reason, or who honours it."""

    kind: Literal["honoured", "elsewhere", "refused", "ignored"]
    said: str = ""

    @property
    def cell(self) -> str:
        """The treatment in the table."""
        return {"honoured": "yes", "elsewhere": self.said, "refused": "no", "ignored": "IGNORED"}[self.kind]


def treatment(runtime: str, sample: Sample) -> Treatment:
    """Refused with a reason; else visible in what is rendered; else somebody else's; else ignored."""
    plain, written = deployments(runtime, sample)
    refuse = registry.adapter(runtime).refusals
    for field, reason in refuse(written.deployment, written.engine):
        if field == sample.field or field not in dict(refuse(plain.deployment, plain.engine)):
            return Treatment("refused", f"`{field}` {reason}")
    without = refuse(plain.deployment, plain.engine)
    if without:
        return Treatment("refused", f"`{without[0][0]}` {without[0][1]}")
    if _rendered(runtime, plain) != _rendered(runtime, written):
        return Treatment("honoured")
    if sample.field in ELSEWHERE:
        return Treatment("elsewhere", ELSEWHERE[sample.field])
    return Treatment("ignored")


def deployments(runtime: str, sample: Sample) -> tuple[ResolvedDeployment, ResolvedDeployment]:
    """The same deployment without and with the sample's field."""
    base = _merged(_basis(runtime, sample), sample.base)
    return _resolved(runtime, base), _resolved(runtime, _merged(base, sample.written))


def _basis(runtime: str, sample: Sample) -> Fields:
    """What the runtime needs of any deployment; a target that it can measure, where the sample scales."""
    example = registry.adapter(runtime).example
    if "autoscaling" not in sample.base:
        return example.fields
    requests = {"resources": {"requests": {"cpu": 2, "memory": "4Gi"}}}
    return _merged(_merged(example.fields, requests), {"autoscaling": {"target": example.target}})


def _merged(base: Fields, over: Fields) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _resolved(runtime: str, fields: Fields) -> ResolvedDeployment:
    written = {"name": "chat", "model": "m", "engine": "e", **fields, "runtime": runtime}
    deployment = Deployment.model_validate(written)
    images = {"nvidia": {"image": "registry.local/engine", "tag": "1.0.0"}}
    engine = {
        "name": "e",
        "server": registry.adapter(runtime).example.server,
        "api_key": {"secret": "k"},
        "images": images,
    }
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine.model_validate(engine),
        model=ResolvedArtifact(name=deployment.model, source="hf://o/m", commit="1" * 40),
        adapters=tuple(
            ResolvedArtifact(name=adapter.adapter, source="hf://o/a", commit="1" * 40)
            for adapter in deployment.adapters
        ),
        image=_IMAGE,
    )


def _rendered(runtime: str, resolved: ResolvedDeployment) -> str:
    """All that a cluster or its operator is given, with the digest, which every change changes, taken out."""
    text = json.dumps(registry.adapter(runtime).given(resolved, CLUSTER_SETTINGS), sort_keys=True)
    return text.replace(resolved.spec_digest, "<digest>").replace(resolved.spec_digest[:8], "<revision>")


def markdown() -> str:
    """The table, then the reasons by runtime."""
    treatments = {(r, s.title): treatment(r, s) for s in SAMPLES for r in RUNTIMES}
    lines = [f"| field | {' | '.join(f'`{r}`' for r in RUNTIMES)} |", "|---|" + "---|" * len(RUNTIMES)]
    for sample in SAMPLES:
        cells = " | ".join(treatments[r, sample.title].cell for r in RUNTIMES)
        lines.append(f"| `{sample.title}` | {cells} |")
    for runtime in RUNTIMES:
        lines += ["", f"### Refused by `{runtime}`", ""]
        for sample in SAMPLES:
            treated = treatments[runtime, sample.title]
            if treated.kind == "refused":
                lines.append(f"- `{sample.title}`: {treated.said.rstrip('.')}.")
    return "\n".join([*lines, "", "### Tasks", "", *_tasks()])


def _tasks() -> list[str]:
    """What each engine does on each runtime that hosts it."""
    every: tuple[Task, ...] = get_args(Task)
    lines = [f"| runtime | engine | {' | '.join(every)} |", "|---|---|" + "---|" * len(every)]
    for runtime in RUNTIMES:
        for server in sorted(registry.adapter(runtime).servers):
            able = tasks.tasks(runtime, server)
            cells = " | ".join("yes" if task in able else "no" for task in every)
            lines.append(f"| `{runtime}` | {server} | {cells} |")
    return lines


PART = GeneratedPart("python -m slipway.runtimes.table docs/runtimes.md", "table", markdown)


if __name__ == "__main__":
    PART.main(sys.argv[1:])
