"""Generated usage of two days, shipped as gateways ship it: what reports and plots are shown with.

Belongs here: the events, the same ones each time, spooled and shipped as a gateway does.
Does not: requests (nobody asks an engine), pages (testbed/screenshots.py).

Everything says that it is generated: organisations, keys and the gateway's replica are named so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from slipway.gateway.usage.shipper import Shipper
from slipway.gateway.usage.spool import Spool
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow
from slipway.records.replica_samples import Instant, Sample
from slipway.records.usage import Status, UsageEvent, request_id_at

HOURS = 48
REPLICA = "generated-gateway"
_HOUR = timedelta(hours=1)
_SAMPLED_S = 600
_WRITERS = 8
_FAILED: tuple[Status, ...] = ("cancelled", "cancelled", "client_error", "server_error", "limited", "limited")
_SUCCESS: Status = "success"
_ENDS: tuple[Status, ...] = (_SUCCESS,) * 94 + _FAILED


@dataclass(frozen=True)
class Kind:
    """How a deployment is used: requests in its busiest hour, typical times in ms, tokens, and its price."""

    deployment: str
    requests: int
    ttft_ms: float
    itl_ms: float
    input_tokens: int
    output_tokens: int
    input_pico: int
    output_pico: int
    currency: str
    gpus: int  # of each replica


KINDS = (
    Kind("chat-8b", 220, 180, 14, 900, 260, 150_000, 600_000, "USD", 1),
    Kind("code-32b", 90, 420, 27, 2_400, 420, 450_000, 1_800_000, "USD", 2),
    Kind("assistant", 60, 90, 8, 300, 120, 80_000, 320_000, "EUR", 1),
)
ORGS = ("generated-acme", "generated-globex", "generated-initech")


def schedules(since: datetime) -> list[PriceSchedule]:
    """Prices of the deployments from an instant on."""
    rows = {
        kind.deployment: PriceRow(
            kind.deployment, None, since, None, "generated", kind.input_pico, kind.input_pico // 4,
            kind.output_pico, kind.currency, "engine-output",
        )
        for kind in KINDS
    }  # fmt: skip
    return [PriceSchedule(name, "generated", (row,)) for name, row in rows.items()]


def events(first: datetime, hours: int = HOURS, seed: int = 7) -> Iterator[UsageEvent]:
    """The events of each hour from `first` on: busy by day, with a slow hour each day and one idle hour."""
    chance = random.Random(seed)
    for number in range(hours):
        hour = first + number * _HOUR
        load = _load(hour)
        for kind in KINDS:
            slow = 2.5 if number % 24 == 15 else 1.0
            count = 0 if number == 27 else round(kind.requests * load * chance.uniform(0.85, 1.15))
            for _ in range(count):
                yield _event(hour, kind, slow * (1 + load), chance)


def samples(first: datetime, hours: int = HOURS) -> Iterator[Instant]:
    """What ran, six times an hour: a replica of each deployment, and two of each where much was asked."""
    for number in range(hours * 3600 // _SAMPLED_S):
        at = first + timedelta(seconds=number * _SAMPLED_S)
        replicas = 2 if _load(at) > 0.6 else 1
        running = (
            Sample(each.deployment, "0" * 64, replicas, replicas * each.gpus, "generated-gpu")
            for each in KINDS
        )
        yield Instant(at, _SAMPLED_S, tuple(running))


def write(store: ObjectStore, warehouse: Warehouse, spool: Path, first: datetime, hours: int = HOURS) -> int:
    """Take the prices, spool and ship the events as a gateway does, and say what ran; how many events."""
    sync_prices(store, warehouse, schedules(first), now=first)
    spooled = Spool(spool, REPLICA)
    shipper, count = Shipper(spooled, store), 0
    for event in events(first, hours):
        spooled.append(event.encode())
        count += 1
    shipper.ship()
    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(lambda instant: store.put(instant.key, instant.encode()), samples(first, hours)):
            pass
    spooled.close()
    return count


def _load(at: datetime) -> float:
    """How busy that hour of the day is, up to 1."""
    return 0.15 + 0.85 * max(0.0, math.sin(math.pi * ((at.hour - 6) % 24) / 16))


def _event(hour: datetime, kind: Kind, slow: float, chance: random.Random) -> UsageEvent:
    at = hour + timedelta(microseconds=chance.randrange(3_600_000_000))
    org = chance.choices(ORGS, weights=(6, 3, 1))[0]
    status = chance.choice(_ENDS)
    worked = status in ("success", "cancelled")
    input_tokens = max(1, round(chance.lognormvariate(math.log(kind.input_tokens), 0.6))) if worked else 0
    output_tokens = max(2, round(chance.lognormvariate(math.log(kind.output_tokens), 0.7))) if worked else 0
    ttft_us = round(chance.lognormvariate(math.log(kind.ttft_ms * slow), 0.5) * 1000)
    itl_us = chance.lognormvariate(math.log(kind.itl_ms * math.sqrt(slow)), 0.25) * 1000
    return UsageEvent(
        request_id=request_id_at(round(at.timestamp() * 1e6) * 1000, chance.getrandbits(62)),
        ts=at.isoformat(timespec="milliseconds"),
        org=org,
        user=f"{org}-user",
        api_key=f"key_{org}_{chance.randrange(2)}",
        model=kind.deployment,
        deployment=kind.deployment,
        replica=REPLICA,
        task="text-generation",
        stream=chance.random() < 0.85,
        input_tokens=input_tokens,
        cached_tokens=input_tokens // 3 if chance.random() < 0.4 else 0,
        output_tokens=output_tokens,
        status=status,
        error_type=None if status == "success" else "generated",
        ttft_us=ttft_us if worked else None,
        duration_us=ttft_us + round(itl_us * max(0, output_tokens - 1)) if worked else 3_000,
        max_gap_us=round(itl_us * 3) if worked else None,
        cold_start=False,
        attempt=1,
        counted_by="engine" if worked else "none",
    )
