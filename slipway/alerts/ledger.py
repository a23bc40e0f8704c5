"""Who was told of what: the memory between two looks, and what it says is due; pure.

Belongs here: when an alert begins, when it is over, who is still to be told of either, and trying again.
Does not: sending (sending.py), looking (slipway.control.alerting), where the memory lies (sensors.alerts).

What could not be looked at is neither begun nor over. An alert that is told begins and ends once for each
receiver; one that comes again within a moment has never been over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from slipway.alerts.alert import PATIENCE_S, Alert, shortened
from slipway.catalog.alerts import SEVERITIES, AlertName, AlertReceiver

OVER_AFTER = timedelta(seconds=90)  # not seen for so long
MOST = 500  # that are remembered, the worst first: the memory has a bound
_FIRST_RETRY_S, _LONGEST_RETRY_S = 30, 900


@dataclass(frozen=True)
class Observation:
    """What was seen at one look, and the names of alerts that could not be looked for."""

    alerts: Sequence[Alert] = ()
    unknown: frozenset[AlertName] = frozenset()


@dataclass(frozen=True)
class Entry:
    """An alert that is remembered. `told` are receivers that know of its beginning, and not of its end."""

    alert: Alert
    since: datetime
    seen: datetime
    told: frozenset[str] = frozenset()
    over_at: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """A receiver that did not take what it was sent: how often in a row, and when it is tried again."""

    count: int
    again_at: datetime


@dataclass(frozen=True)
class Ledger:
    """All of the memory."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """What one receiver is to be told, the worst first."""

    begun: tuple[Entry, ...]
    over: tuple[Entry, ...]


def observed(ledger: Ledger, seen: Observation, now: datetime) -> Ledger:
    """The memory after a look."""
    entries = dict(ledger.entries)
    for alert in seen.alerts:
        known = entries.get(alert.key)
        told = replace(alert, summary=shortened(alert.summary))
        entries[alert.key] = (
            Entry(told, now, now) if known is None else replace(known, alert=told, seen=now, over_at=None)
        )
    for key, entry in entries.items():
        if entry.alert.name in seen.unknown:
            entries[key] = replace(entry, seen=max(entry.seen, now)) if entry.over_at is None else entry
        elif entry.over_at is None and now - entry.seen >= OVER_AFTER:
            entries[key] = replace(entry, over_at=now)
    return replace(ledger, entries=_bounded(entries))


def due(ledger: Ledger, receivers: Iterable[AlertReceiver], now: datetime) -> dict[str, Notice]:
    """What each receiver is to be told now, by its name."""
    notices = {}
    for receiver in receivers:
        trouble = ledger.troubles.get(receiver.name)
        if trouble is not None and now < trouble.again_at:
            continue
        begun = [
            each
            for each in ledger.entries.values()
            if each.over_at is None
            and receiver.name not in each.told
            and now - each.since >= timedelta(seconds=PATIENCE_S.get(each.alert.name, 0))
            and wants(receiver, each.alert)
        ]
        over = [
            each
            for each in ledger.entries.values()
            if each.over_at is not None and receiver.name in each.told
        ]
        if begun or over:
            notices[receiver.name] = Notice(_worst_first(begun), _worst_first(over))
    return notices


def wants(receiver: AlertReceiver, alert: Alert) -> bool:
    """Whether the receiver is one for this alert, by severity, owner and name."""
    return (
        alert.rank >= SEVERITIES.index(receiver.least)
        and (not receiver.alerts or alert.name in receiver.alerts)
        and (not receiver.owners or alert.owner is None or alert.owner in receiver.owners)
    )


def told(ledger: Ledger, receiver: str, notice: Notice) -> Ledger:
    """The memory after the receiver has taken the notice."""
    entries = dict(ledger.entries)
    for each in notice.begun:
        entry = entries[each.alert.key]
        entries[each.alert.key] = replace(entry, told=entry.told | {receiver})
    for each in notice.over:
        entry = entries[each.alert.key]
        entries[each.alert.key] = replace(entry, told=entry.told - {receiver})
    troubles = {name: trouble for name, trouble in ledger.troubles.items() if name != receiver}
    return Ledger(entries, troubles)


def not_told(ledger: Ledger, receiver: str, now: datetime) -> Ledger:
    """The memory after the receiver has not taken it: it is tried again, ever less often."""
    count = ledger.troubles[receiver].count + 1 if receiver in ledger.troubles else 1
    pause_s = min(_FIRST_RETRY_S * 2 ** min(count - 1, 10), _LONGEST_RETRY_S)
    trouble = Trouble(count, now + timedelta(seconds=pause_s))
    return replace(ledger, troubles={**ledger.troubles, receiver: trouble})


def forgotten(ledger: Ledger, receivers: Iterable[AlertReceiver]) -> Ledger:
    """The memory without receivers that are gone, and without what is over and known to all."""
    names = {receiver.name for receiver in receivers}
    entries = {
        key: kept
        for key, entry in ledger.entries.items()
        if (kept := replace(entry, told=entry.told & names)).over_at is None or kept.told
    }
    return Ledger(entries, {name: each for name, each in ledger.troubles.items() if name in names})


def encode(ledger: Ledger) -> str:
    """As text, for whoever keeps it."""
    entries = [{**asdict(each), "told": sorted(each.told)} for each in ledger.entries.values()]
    troubles = {name: asdict(each) for name, each in ledger.troubles.items()}
    return json.dumps({"entries": entries, "troubles": troubles}, default=datetime.isoformat)


def decode(text: str | None) -> Ledger:
    """From text; empty where there is none, or where it is of another version."""
    try:
        document = json.loads(text or "{}")
        entries = [_entry(each) for each in document.get("entries", ())]
        troubles = {
            name: Trouble(int(each["count"]), datetime.fromisoformat(each["again_at"]))
            for name, each in document.get("troubles", {}).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return Ledger()
    return Ledger({entry.alert.key: entry for entry in entries}, troubles)


def _entry(plain: dict[str, object]) -> Entry:
    over_at = plain["over_at"]
    return Entry(
        alert=Alert(**plain["alert"]),  # type: ignore[arg-type]
        since=datetime.fromisoformat(str(plain["since"])),
        seen=datetime.fromisoformat(str(plain["seen"])),
        told=frozenset(plain["told"]),  # type: ignore[call-overload]
        over_at=None if over_at is None else datetime.fromisoformat(str(over_at)),
    )


def _worst_first(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda each: (-each.alert.rank, each.since, each.alert.key)))


def _bounded(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """What was told of goes before what was not: its end is still to be told."""
    if len(entries) <= MOST:
        return dict(entries)
    kept = sorted(
        entries.values(), key=lambda each: (not each.told, -each.alert.rank, each.since, each.alert.key)
    )
    return {each.alert.key: each for each in kept[:MOST]}
