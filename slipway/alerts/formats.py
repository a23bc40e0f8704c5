"""A notice in the words of each kind of receiver: Slack's JSON, our own, PagerDuty's events, an e-mail.

Belongs here: those four, each a pure function. Does not: sending them (sending.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from slipway.alerts.alert import Alert
from slipway.alerts.ledger import Entry, Notice

# Of many at once, so many are written out where a person reads them.
_WRITTEN = 20
_COLOURS = {"info": "#2563eb", "warning": "#d97706", "error": "#dc2626", "critical": "#7f1d1d"}
_OVER = "#16a34a"


def slack(notice: Notice) -> dict[str, Any]:
    """The body of an incoming webhook: a line, and an attachment per alert.

    Slack: `Sending messages using incoming webhooks` and `Reference: Message payloads`.
    """
    attachments = [
        {
            "color": _COLOURS[each.alert.severity],
            "text": _escaped(_line(each)),
            "fallback": _escaped(_line(each)),
        }
        for each in notice.begun[:_WRITTEN]
    ]
    attachments += [
        {"color": _OVER, "text": _escaped(_line(each)), "fallback": _escaped(_line(each))}
        for each in notice.over[:_WRITTEN]
    ]
    return {"text": _escaped(headline(notice)), "attachments": attachments}


def webhook(notice: Notice) -> dict[str, Any]:
    """JSON of our own, version 1: every alert that began, and every one that is over."""
    return {
        "version": 1,
        "begun": [_plain(each) for each in notice.begun],
        "over": [_plain(each) for each in notice.over],
    }


def pagerduty(entry: Entry, routing_key: str) -> dict[str, Any]:
    """One event of PagerDuty's Events API v2: `trigger` of one that began, `resolve` of one that is over."""
    alert = entry.alert
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger" if entry.over_at is None else "resolve",
        "dedup_key": f"slipway/{alert.key}"[:255],
    }
    if entry.over_at is None:
        event["payload"] = {
            "summary": f"{alert.name}: {alert.subject}: {alert.summary}"[:1024],
            "source": alert.subject,
            "severity": alert.severity,
            "timestamp": entry.since.astimezone(UTC).isoformat(),
            "component": alert.subject,
            "group": alert.owner or "slipway",
            "class": alert.name,
        }
    return event


def email(notice: Notice, sender: str, to: tuple[str, ...], now: datetime) -> EmailMessage:
    """A plain text message; one per notice, so that many at once are one message."""
    message = EmailMessage()
    message["Subject"] = headline(notice)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no one is on holiday towards a machine
    lines = [_line(each) for each in (*notice.begun, *notice.over)]
    more = len(lines) - 2 * _WRITTEN
    lines = lines[: 2 * _WRITTEN] + ([f"and {more} more"] if more > 0 else [])
    message.set_content("\n\n".join(lines) + "\n")
    return message


def headline(notice: Notice) -> str:
    """The notice in one line."""
    if len(notice.begun) + len(notice.over) == 1:
        [entry] = [*notice.begun, *notice.over]
        return f"Slipway: {_state(entry)} {entry.alert.name} {entry.alert.subject}"
    parts = [f"{len(notice.begun)} alerts" if len(notice.begun) != 1 else "1 alert"] if notice.begun else []
    parts += [f"{len(notice.over)} over"] if notice.over else []
    return f"Slipway: {', '.join(parts)}"


def _line(entry: Entry) -> str:
    alert = entry.alert
    owner = f" ({alert.owner})" if alert.owner else ""
    if entry.over_at is not None:
        return f"over: {alert.name} {alert.subject}{owner}, since {entry.since:%Y-%m-%dT%H:%MZ}"
    return f"{alert.severity}: {alert.name} {alert.subject}{owner}: {alert.summary}"


def _state(entry: Entry) -> str:
    return entry.alert.severity if entry.over_at is None else "over:"


def _plain(entry: Entry) -> dict[str, Any]:
    alert: Alert = entry.alert
    return {
        "key": alert.key,
        "name": alert.name,
        "subject": alert.subject,
        "severity": alert.severity,
        "owner": alert.owner,
        "summary": alert.summary,
        "since": entry.since.astimezone(UTC).isoformat(),
        "over_at": None if entry.over_at is None else entry.over_at.astimezone(UTC).isoformat(),
    }


def _escaped(text: str) -> str:
    """The three characters that Slack's text has to have escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
