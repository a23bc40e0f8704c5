"""Samples of what runs: replicas and GPUs by deployment, for the cost of a request besides its price.

Belongs here: from what is live to rows. Does not: when to sample, format, writing and reading
(slipway.records.replica_samples), what they cost (slipway.metering.replicas).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from slipway.catalog import profiles
from slipway.dataplane.protocol import LiveApplication
from slipway.records.replica_samples import INTERVAL_S, Instant, Sample, instant_of

SpecOf = Callable[[str, str], Mapping[str, Any] | None]


def sampled(live: Iterable[LiveApplication], spec_of: SpecOf, now: datetime) -> Instant:
    """A row for each revision with ready replicas; `spec_of` gives a revision's recorded spec.

    The instant is that of `now`'s interval: sampled again within it, there is still one.
    """
    rows = []
    for revision in live:
        if revision.replicas_ready:
            spec = spec_of(revision.deployment, revision.spec_digest) or {}
            cards, gpu_class = _cards(spec.get("deployment") or {})
            gpus = cards * revision.replicas_ready
            rows.append(
                Sample(revision.deployment, revision.spec_digest, revision.replicas_ready, gpus, gpu_class)
            )
    return Instant(instant_of(now), INTERVAL_S, tuple(rows))


def _cards(deployment: Mapping[str, Any]) -> tuple[float, str | None]:
    """Cards of one replica, over all its nodes."""
    resources = deployment.get("resources") or {}
    gpu, profile = resources.get("gpu"), resources.get("profile")
    nodes = int(deployment.get("nodes_per_replica") or 1)
    if not gpu:
        return float(profiles.cards(profile, resources.get("profile_accelerator")) or 0) * nodes, None
    share = gpu.get("fraction")
    cards = float(share) if share is not None else float(gpu.get("count") or 1)
    if profile is not None and cards == 1:
        cards = float(profiles.multiple(profile))  # a count that was not written is the profile's
    return cards * nodes, gpu.get("class")
