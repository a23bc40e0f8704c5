"""What `make demo-tasks` claims, judged from the record and the published bill: pure functions.

Belongs here: each claim, its evidence, and the exact cost as the client would compute it. Does not:
collecting facts (tasks.py), showing them (tasks_summary.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter

from slipway.metering.queries import BillLine
from slipway.records.price_history import PriceRow
from slipway.stack.demo.claims import Claim
from slipway.stack.demo.tasks import PASSAGES, PATHS, RIGHT, SENTENCE, TasksRecord, Used, total

# What is counted: where a bill has it, and its price.
COUNTS: Mapping[str, tuple[str, str]] = {
    "input_uncached": ("input_uncached", "input_pico"),
    "input_cached": ("input_cached", "cached_pico"),
    "output": ("output", "output_pico"),
    "input_audio_ms": ("units.input_audio_ms", "input_audio_pico"),
    "characters": ("units.characters", "character_pico"),
    "documents": ("units.documents", "document_pico"),
    "searches": ("units.searches", "search_pico"),
}
# Words of the sentence that a small model may mishear.
_HEARD = 0.8


def judge(record: TasksRecord, lines: Sequence[BillLine], prices: Sequence[PriceRow]) -> list[Claim]:
    """Every claim, in the order in which a person would ask."""
    return [*_answers(record), *_bills(record, {line.deployment: line for line in lines}, prices)]


def billed(line: BillLine | None, names: Iterable[str]) -> dict[str, int]:
    """What a bill has of each count."""
    return {name: int(attrgetter(COUNTS[name][0])(line)) if line else 0 for name in names}


def expected_cost(used: Iterable[Used], prices: Sequence[PriceRow]) -> Decimal:
    """What the client counted x the price in force at each request, exact."""
    pico = 0
    for each in used:
        price = next(
            row
            for row in prices
            if row.deployment == each.deployment and row.org is None and row.covers(each.at)
        )
        pico += sum(count * (getattr(price, COUNTS[name][1]) or 0) for name, count in each.counted.items())
    return Decimal(pico).scaleb(-12)


def heard(transcript: str) -> tuple[int, int]:
    """Words of the sentence that are in a transcript, and how many it has."""
    wanted, found = (re.findall(r"[a-z]+", text.lower()) for text in (SENTENCE, transcript))
    return sum(word in found for word in wanted), len(wanted)


def _answers(record: TasksRecord) -> Iterator[Claim]:
    ends = {name: record.upstreams.get(name, "") for name in PATHS}
    own = all(ends[name].endswith(f"{path}/v1") for name, path in PATHS.items())
    hosts = {url.partition("//")[2].partition("/")[0] for url in ends.values()}
    yield Claim(
        "five tasks on one Ray cluster, a path each", own and len(hosts) == 1, ", ".join(PATHS.values())
    )
    right, words = heard(record.transcript)
    yield Claim("speech of one model is transcribed by another", right >= _HEARD * words, record.transcript)
    near = PASSAGES[record.nearest] if record.nearest is not None else ""
    yield Claim("the right passage is the nearest by its embedding", record.nearest == RIGHT, near)
    best = PASSAGES[record.best] if record.best is not None else ""
    yield Claim("the right passage is the best by its rank", record.best == RIGHT, best)


def _bills(record: TasksRecord, lines: Mapping[str, BillLine], prices: Sequence[PriceRow]) -> Iterator[Claim]:
    for name in PATHS:
        line, used = lines.get(name), [each for each in record.used if each.deployment == name]
        counted = total(used, name)
        found = billed(line, counted)
        told = ", ".join(f"{count} {unit}" for unit, count in found.items() if count)
        yield Claim(f"{name}: billed = counted by its client", bool(counted) and found == counted, told)
        requests = line.requests if line else 0
        yield Claim(f"{name}: every request is counted once", requests == len(used), f"{requests} requests")
        cost = Decimal(line.cost) if line and line.cost else Decimal(0)
        wanted = expected_cost(used, prices)
        held = cost == wanted and cost > 0
        yield Claim(f"{name}: cost = units x the price in force", held, f"{cost:f} = {wanted:f}")
