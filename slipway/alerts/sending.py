"""Telling a receiver: one POST, one e-mail, or an event each, within seconds.

Belongs here: addresses and keys, mail, and errors that name no secret.
Does not: the request (slipway.posting), what is told (ledger.py), how it is written (formats.py), trying
again (slipway.control.alerting).
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import SplitResult, unquote, urlsplit

from slipway.alerts import formats
from slipway.alerts.ledger import Notice
from slipway.catalog.alerts import AlertReceiver
from slipway.catalog.fields import SecretRef
from slipway.posting import post

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_TIMEOUT_S = 5.0


class SendError(RuntimeError):
    """The receiver was not told; the message names it, and what to do."""


def send(receiver: AlertReceiver, notice: Notice, variables: Mapping[str, str], now: datetime) -> None:
    """Tell the receiver all of the notice. Raises SendError; what was told before it may be told again."""
    if receiver.kind == "email":
        _send_mail(receiver, notice, variables, now)
    elif receiver.kind == "pagerduty":
        key = _secret(receiver, "routing_key", receiver.routing_key, variables)
        url = _secret(receiver, "webhook", receiver.webhook, variables) if receiver.webhook else PAGERDUTY_URL
        for entry in (*notice.begun, *notice.over):
            _post(receiver, url, formats.pagerduty(entry, key))
    else:
        body = formats.slack(notice) if receiver.kind == "slack" else formats.webhook(notice)
        _post(receiver, _secret(receiver, "webhook", receiver.webhook, variables), body)


def _secret(receiver: AlertReceiver, field: str, ref: SecretRef | None, variables: Mapping[str, str]) -> str:
    name = (ref.env if ref is not None else None) or ""
    value = variables.get(name, "").strip()
    if not value:
        raise SendError(
            f"alert receiver {receiver.name}: its {field} is to come from {name}, which is not set. Set it."
        )
    return value


def _post(receiver: AlertReceiver, url: str, body: object) -> None:
    link = _address(url, "http", "https")
    if link is None:
        raise SendError(
            f"alert receiver {receiver.name}: what its webhook's variable holds is not an address. "
            "Write it as https://host[:port]/path."
        )
    answer = post(url, json.dumps(body).encode(), {"content-type": "application/json"}, _TIMEOUT_S)
    if not answer.is_taken:
        raise SendError(f"alert receiver {receiver.name}: {link.hostname}: {answer.said}. It is tried again.")


def _send_mail(receiver: AlertReceiver, notice: Notice, variables: Mapping[str, str], now: datetime) -> None:
    server = _address(variables.get("SLIPWAY_SMTP_URL", "").strip(), "smtp", "smtps")
    sender = variables.get("SLIPWAY_SMTP_FROM", "").strip()
    if server is None or not sender:
        raise SendError(
            f"alert receiver {receiver.name}: SLIPWAY_SMTP_URL or SLIPWAY_SMTP_FROM is not set, or no "
            "address. Set them, such as smtp://user:password@host:587 (smtps: TLS from the start) and "
            "slipway@your.domain."
        )
    message = formats.email(notice, sender, receiver.to, now)
    try:
        with _smtp(server) as client:
            if server.scheme == "smtp" and client.has_extn("starttls"):
                client.starttls(context=ssl.create_default_context())
                client.ehlo()
            elif server.username and server.scheme == "smtp":
                raise SendError(
                    f"alert receiver {receiver.name}: {server.hostname} offers no TLS, and the password "
                    "is not sent without. Use smtps, or a server with STARTTLS."
                )
            if server.username:
                client.login(unquote(server.username), unquote(server.password or ""))
            client.send_message(message)
    except smtplib.SMTPAuthenticationError:
        trouble = "did not take the user and password of SLIPWAY_SMTP_URL"
    except smtplib.SMTPRecipientsRefused:
        trouble = f"refused every one of {', '.join(receiver.to)}"
    except smtplib.SMTPException as error:
        trouble = f"did not take the message ({type(error).__name__})"
    except (OSError, ValueError):
        trouble = "cannot be reached"
    else:
        return
    raise SendError(f"alert receiver {receiver.name}: {server.hostname} {trouble}. It is tried again.")


def _address(written: str, *schemes: str) -> SplitResult | None:
    """The parts of an address with a host; None where it is none."""
    try:
        parts = urlsplit(written)
        is_one = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        return None
    return parts if is_one else None


def _smtp(server: SplitResult) -> smtplib.SMTP:
    host = server.hostname or ""
    if server.scheme == "smtps":
        context = ssl.create_default_context()
        client: smtplib.SMTP = smtplib.SMTP_SSL(host, server.port or 465, timeout=_TIMEOUT_S, context=context)
    else:
        client = smtplib.SMTP(host, server.port or 25, timeout=_TIMEOUT_S)
    client.ehlo()
    return client
