"""Samples of what runs: replicas and GPUs by deployment, for the cost of a request besides its price.

Belongs here: from what is live to rows, and where they lie. Does not: when to sample, what they cost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.dataplane.protocol import LiveApplication
from slipway.objectstore import ObjectStore

PREFIX = "samples/replicas/"


@dataclass(frozen=True)
class Sample:
    """One revision at one instant. `gpus` are cards, or fractions of them, of all ready replicas."""

    at: str
    deployment: str
    spec_digest: str
    replicas: int
    gpus: float
    gpu_class: str | None


SpecOf = Callable[[str, str], Mapping[str, Any] | None]


def samples(live: Iterable[LiveApplication], spec_of: SpecOf, now: datetime) -> tuple[Sample, ...]:
    """A row for each revision with ready replicas; `spec_of` gives a revision's recorded spec."""
    at = now.astimezone(UTC).isoformat()
    rows = []
    for each in live:
        if each.replicas_ready:
            spec = spec_of(each.deployment, each.spec_digest) or {}
            cards, gpu_class = _cards(spec.get("deployment") or {})
            gpus = cards * each.replicas_ready
            rows.append(Sample(at, each.deployment, each.spec_digest, each.replicas_ready, gpus, gpu_class))
    return tuple(rows)


def _cards(deployment: Mapping[str, Any]) -> tuple[float, str | None]:
    """Cards of one replica, over all its nodes."""
    gpu = (deployment.get("resources") or {}).get("gpu")
    if not gpu:
        return 0.0, None
    share = gpu.get("fraction")
    cards = float(share) if share is not None else float(gpu.get("count") or 1)
    return cards * int(deployment.get("nodes_per_replica") or 1), gpu.get("class")


def key(now: datetime) -> str:
    """Where the samples of an instant lie: by hour, so that an hour is one listing."""
    utc = now.astimezone(UTC)
    return f"{PREFIX}{utc:%Y/%m/%d/%H}/{utc:%M%S}.json"


def write(store: ObjectStore, rows: Iterable[Sample], now: datetime) -> str:
    """Write the samples of an instant; the same instant again replaces them. Returns the key."""
    body = json.dumps([asdict(each) for each in rows]).encode()
    store.put(key(now), body, content_type="application/json")
    return key(now)
