"""What is wrong, as stores and the catalog show it, and telling those who want to know.

Belongs here: looking at the warehouse and the catalog, and passing notices on with what came of it.
Does not: what only Dagster knows (sensors.trouble), who is told when (slipway.alerts.ledger).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from slipway.alerts import ledger, sending
from slipway.alerts.alert import Alert
from slipway.alerts.ledger import Entry, Ledger, Notice, Observation
from slipway.catalog import Catalog
from slipway.catalog.alerts import AlertName, AlertReceiver
from slipway.catalog.rules import billing as price_rules
from slipway.control.connections import Connections
from slipway.metering import staleness
from slipway.records.usage import hour_of

# An hour that has been over for so long should be rolled up: the schedule and a sensor had their turns.
ROLLUP_PATIENCE = timedelta(hours=1)
_BUDGET_S = 25.0  # of one round of sending: a tick ends before its daemon gives it up
_HOUR = timedelta(hours=1)

Look = Callable[[Connections, Catalog, datetime, datetime], list[Alert]]


def observe(at: Connections, catalog: Catalog, now: datetime, earliest: datetime) -> Observation:
    """All that is wrong as the warehouse and the catalog show it; hours are looked at from `earliest` on.

    One look that fails hides no other: what it looks for is unknown meanwhile, and an alert of its own.
    """
    alerts: list[Alert] = []
    unknown: set[AlertName] = set()
    for name, look in LOOKS.items():
        try:
            alerts += look(at, catalog, now, earliest)
        except Exception as error:
            # Whatever it was: everything else is still to be looked at, and somebody has to hear of it.
            logging.getLogger("slipway").warning("looking for %s failed", name, exc_info=True)
            unknown.add(name)
            alerts.append(Alert("observation_failed", name, f"cannot look for {name}: {_told(error)}"))
    return Observation(alerts, frozenset(unknown))


def no_price_in_force(_at: Connections, catalog: Catalog, now: datetime, _: datetime) -> list[Alert]:
    """Deployments that somebody may use and that cost nothing, because no price has begun."""
    owners = {deployment.name: deployment.owner for deployment in catalog.deployments}
    return [
        Alert("no_price_in_force", f"deployment/{each.name}", each.message, owners.get(each.name))
        for each in price_rules.unpriced(catalog, now)
    ]


def rollup_stale(at: Connections, _: Catalog, now: datetime, earliest: datetime) -> list[Alert]:
    """Hours that should have been rolled up, in one alert: their cause is one, too."""
    overdue = staleness.overdue(at.store, at.warehouse, now=now, earliest=earliest, patience=ROLLUP_PATIENCE)
    if not overdue:
        return []
    first, last = overdue[0], overdue[-1]
    hours = "1 hour is" if len(overdue) == 1 else f"{len(overdue)} hours are"
    summary = (
        f"{hours} not rolled up, from {first.hour:%Y-%m-%dT%H} to {last.hour:%Y-%m-%dT%H} (UTC): "
        f"{first.reason}. Look at the runs of the job rollup, and at the sensor late_usage"
    )
    return [Alert("rollup_stale", "metering/usage_hourly", summary)]


def gpu_idle(at: Connections, catalog: Catalog, now: datetime, _: datetime) -> list[Alert]:
    """Deployments whose GPUs ran for hours while nobody asked them."""
    count = catalog.settings.gpu_idle_hours
    # The hour before this one may not be rolled up yet, and would look idle.
    until = hour_of(now) - _HOUR
    if not at.warehouse.published_path.exists():
        return []
    rows = at.metered.rows("gpus_idle", since=until - count * _HOUR, until=until, hours=count)
    deployments = {deployment.name: deployment for deployment in catalog.deployments}
    return [
        Alert(
            "gpu_idle",
            f"deployment/{row['deployment']}",
            f"its GPUs ran for {count} hours without a request ({row['gpu_hours']:.1f} GPU-hours). Set "
            "autoscaling.min to 0 with autoscaling.idle: zero, or remove it",
            deployments[row["deployment"]].owner,
        )
        for row in rows
        if row["deployment"] in deployments
    ]


LOOKS: Mapping[AlertName, Look] = {
    "no_price_in_force": no_price_in_force,
    "rollup_stale": rollup_stale,
    "gpu_idle": gpu_idle,
}


def tell(
    memory: Ledger,
    receivers: Sequence[AlertReceiver],
    variables: Mapping[str, str],
    now: datetime,
    say: Callable[[str], None],
) -> Ledger:
    """Tell every receiver what is due to it, and return what to remember.

    One that does not take it keeps no other from being told, and is tried again later. What the budget
    does not suffice for is due at the next look.
    """
    memory = ledger.forgotten(memory, receivers)
    by_name = {receiver.name: receiver for receiver in receivers}
    ends_at = time.monotonic() + _BUDGET_S
    for name, notice in ledger.due(memory, receivers, now).items():
        if time.monotonic() >= ends_at:
            break
        try:
            sending.send(by_name[name], notice, variables, now)
        except sending.SendError as error:
            say(str(error))
            memory = ledger.not_told(memory, name, now)
            continue
        except Exception as error:
            # Nobody expected it, and the others are still to be told.
            logging.getLogger("slipway").warning("telling %s failed", name, exc_info=True)
            say(f"alert receiver {name}: {_told(error)}. It is tried again.")
            memory = ledger.not_told(memory, name, now)
            continue
        say(f"{name}: told of {len(notice.begun)} that began and {len(notice.over)} that are over")
        memory = ledger.told(memory, name, notice)
    return ledger.forgotten(memory, receivers)


def try_out(receiver: AlertReceiver, variables: Mapping[str, str], now: datetime) -> str | None:
    """Tell one receiver of a trial that begins and is over; what went wrong, or None."""
    entry = Entry(Alert("check_failed", "slipway/trial", "a trial, nothing is wrong"), now, now)
    try:
        sending.send(receiver, Notice((entry,), ()), variables, now)
        sending.send(receiver, Notice((), (replace(entry, over_at=now),)), variables, now)
    except sending.SendError as error:
        return str(error)
    return None


def _told(error: Exception) -> str:
    """Our own messages as they are; a library's, by its kind alone."""
    ours = type(error).__module__.partition(".")[0] == "slipway"
    return str(error) if ours else f"{type(error).__name__}; the log of the daemon has more"
