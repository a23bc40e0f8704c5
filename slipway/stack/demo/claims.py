"""What the demo claims, judged from the record and the published bill: pure functions.

Belongs here: each claim, its evidence, and the exact cost as a client would compute it.
Does not: collecting facts (story.py), showing them (report.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from slipway.metering.queries import Bill
from slipway.records.price_history import PriceRow
from slipway.stack.demo.story import ADAPTER, ASSISTANT, CHAT, Record
from slipway.stack.demo.traffic import Seen

# The gateway's word for each outcome that a client of the demo sees.
STATUS = {200: "success", 429: "limited", 404: "client_error"}


@dataclass(frozen=True)
class Claim:
    """One promise, whether it was seen to hold, and what was seen."""

    text: str
    held: bool
    evidence: str


def tokens(seen: Iterable[Seen]) -> dict[str, int]:
    """Tokens as clients saw them, `input` including `cached`."""
    total = {"input": 0, "cached": 0, "output": 0}
    for request in seen:
        total["input"] += request.input
        total["cached"] += request.cached
        total["output"] += request.output
    return total


def by_status(seen: Iterable[Seen]) -> dict[str, int]:
    """Requests by the gateway's words for their outcomes."""
    return dict(sorted(Counter(STATUS.get(request.status, "server_error") for request in seen).items()))


def expected_cost(
    seen: Iterable[Seen], prices: Sequence[PriceRow], deployments: Mapping[str, str]
) -> Decimal:
    """Tokens x the price in force at each request, exact: pico-units are integers until the last step."""
    pico = 0
    for request in seen:
        if request.status != 200:
            continue
        price = _in_force(prices, deployments[request.model], request.at)
        pico += (request.input - request.cached) * price.input_pico
        pico += request.cached * price.cached_pico + request.output * price.output_pico
    return Decimal(pico).scaleb(-12)


def judge(record: Record, bills: Mapping[str, Bill], prices: Sequence[PriceRow]) -> list[Claim]:
    """Every claim of the demo, in the order in which a person would ask."""
    return [*_isolation(record), *_limits(record), *_billing(record, bills, prices), *_rollouts(record)]


def _isolation(record: Record) -> Iterator[Claim]:
    shown = record.models_listed
    want = {"acme": [ASSISTANT, CHAT, ADAPTER], "globex": [ASSISTANT], "initech": []}
    held = all(shown.get(org) == names for org, names in want.items())
    evidence = "; ".join(f"{org}: {', '.join(names) or 'nothing'}" for org, names in shown.items())
    yield Claim("each org lists only what is shared with it", held, evidence)
    hidden = next((request for request in record.clients["initech"].seen if request.model == CHAT), None)
    unknown = record.unknown_model
    same = (
        hidden is not None
        and unknown is not None
        and (hidden.status, hidden.error.replace(CHAT, "*"))
        == (404, unknown.error.replace(unknown.model, "*"))
        and unknown.status == 404
    )
    yield Claim(
        "a model that is not shared looks like one that does not exist", same, hidden.error if hidden else ""
    )


def _limits(record: Record) -> Iterator[Claim]:
    refused = [request for request in record.clients["globex"].seen if request.status == 429]
    for what in ("tokens", "requests"):
        refusal = next((each.error for each in refused if f"{what} per minute" in each.error.lower()), "")
        yield Claim(f"globex met its {what}/min", bool(refusal), refusal)


def _billing(record: Record, bills: Mapping[str, Bill], prices: Sequence[PriceRow]) -> Iterator[Claim]:
    deployments = {CHAT: CHAT, ADAPTER: CHAT, ASSISTANT: ASSISTANT}
    for org, client in record.clients.items():
        bill = bills.get(org)
        seen = tokens(client.seen)
        client_side = (seen["input"] - seen["cached"], seen["cached"], seen["output"])
        billed = (bill.input_uncached, bill.input_cached, bill.output) if bill else (0, 0, 0)
        evidence = "{} uncached input, {} cached input, {} output".format(*billed)
        yield Claim(f"{org}: billed tokens = tokens seen by its client", billed == client_side, evidence)
        counted = dict(sorted(bill.by_status.items())) if bill else {}
        yield Claim(
            f"{org}: every request is counted once", counted == by_status(client.seen), _counts(counted)
        )
        cost = Decimal(bill.cost) if bill and bill.cost else Decimal(0)
        wanted = expected_cost(client.seen, prices, deployments)
        yield Claim(f"{org}: cost = tokens x the price in force", cost == wanted, f"{cost:f} = {wanted:f}")


def _rollouts(record: Record) -> Iterator[Claim]:
    failed = [request for request in record.redeploy_flow if request.status != 200]
    changed = bool(record.redeployed_digest) and record.redeployed_digest != record.first_digests.get(CHAT)
    yield Claim("the edit was redeployed", changed, record.redeployed_digest[:8])
    evidence = f"{len(record.redeploy_flow)} requests, {len(failed)} failed"
    held = bool(record.redeploy_flow) and not failed
    yield Claim("no request failed during the redeploy", held, evidence)
    refused = record.rollback is not None and record.rollback.status == "FAILURE"
    stayed = refused and record.serving_digest == record.redeployed_digest != record.bad_digest
    evidence = f"serving {record.serving_digest[:8]}, refused {record.bad_digest[:8]}"
    yield Claim("the bad edit was refused and the good revision serves", stayed, evidence)
    failed = [request for request in record.rollback_flow if request.status != 200]
    evidence = f"{len(record.rollback_flow)} requests, {len(failed)} failed"
    yield Claim("no request failed during the bad edit", bool(record.rollback_flow) and not failed, evidence)


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counted.items())


def _in_force(prices: Sequence[PriceRow], deployment: str, at: datetime) -> PriceRow:
    return next(row for row in prices if row.deployment == deployment and row.org is None and row.covers(at))
