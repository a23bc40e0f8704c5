"""Telling a receiver of an invoice: one signed POST, tried a few times, noted when it was taken.

Belongs here: the headers, the signature, which answers are tried again.
Does not: the request (slipway.posting), which invoices there are, the notes' objects
(slipway.records.invoices).

Headers and signature are those of the Standard Webhooks specification: `webhook-id` is the invoice's id and
never changes, so that a receiver that keeps ids takes an invoice once, whatever is sent twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from slipway.posting import Answer, post
from slipway.records.invoices import Invoice, Invoices

_ATTEMPTS = 4
_FIRST_PAUSE_S = 1.0
_TIMEOUT_S = 10.0
_PASSING = frozenset({408, 425, 429})


class DeliveryError(RuntimeError):
    """The receiver did not take an invoice; the message names it and what to do. Running again goes on."""

    retriable = True


@dataclass(frozen=True)
class Receiver:
    """Where invoices are told, and the secret that signs them."""

    url: str
    secret: str

    def __post_init__(self) -> None:
        link = urlsplit(self.url)
        if link.scheme not in {"http", "https"} or not link.hostname:
            raise ValueError(
                "SLIPWAY_INVOICE_WEBHOOK_URL: not an address. Write it as https://host[:port]/path."
            )
        if len(self.secret) < 16:
            raise ValueError(
                "SLIPWAY_INVOICE_WEBHOOK_SECRET: shorter than 16 characters, so that others could sign "
                "invoices. Set a random one, such as `openssl rand -hex 32` makes."
            )

    @property
    def name(self) -> str:
        """Host and path: no credentials, no query."""
        link = urlsplit(self.url)
        port = f":{link.port}" if link.port else ""
        return f"{link.scheme}://{link.hostname}{port}{link.path}"


def deliver(
    kept: Invoices,
    invoice: Invoice,
    receiver: Receiver,
    now: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
    timeout_s: float = _TIMEOUT_S,
) -> bool:
    """Tell the receiver of an issued invoice; False when it has taken it before. Raises DeliveryError."""
    if invoice.is_draft:
        raise ValueError(f"{invoice.id}: a draft is not delivered. Close the month first.")
    if kept.was_told(invoice, receiver.name):
        return False
    body = json.dumps(invoice.plain(), sort_keys=True).encode()
    trouble = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(_FIRST_PAUSE_S * 2 ** (attempt - 1))
        answer = _post(invoice, receiver, body, now(), timeout_s)
        if answer.is_taken:
            kept.note_told(invoice, receiver.name, answer.status, now())
            return True
        trouble = answer.said
        if answer.status and answer.status < 500 and answer.status not in _PASSING:
            break
    raise DeliveryError(
        f"{invoice.id}: {receiver.name} did not take it ({trouble}). Nothing is lost: correct the receiver, "
        f"then `slipway month deliver {invoice.month}` tells it of what it has not taken."
    )


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks)."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def _post(invoice: Invoice, receiver: Receiver, body: bytes, now: datetime, timeout_s: float) -> Answer:
    timestamp = int(now.timestamp())
    message_id = invoice.id.encode("ascii", "backslashreplace").decode()
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(receiver.secret, message_id, timestamp, body),
    }
    return post(receiver.url, body, headers, timeout_s)
