"""Invoices told to a receiver: signed, tried again, never twice to one that keeps ids."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.billing.invoicing import LineKey, Used, invoices
from slipway.billing.webhook import DeliveryError, Receiver, deliver
from slipway.objectstore import ObjectStore
from slipway.records.invoices import Invoice, Invoices

NOW = datetime(2026, 4, 1, 2, tzinfo=UTC)
SECRET = "a-secret-of-the-test"


class Listening(ThreadingHTTPServer):
    """A receiver that keeps ids. `answers` are the next statuses (0: hangs); afterwards it answers 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.seen: list[str] = []
        self.taken: dict[str, bytes] = {}

    @property
    def receiver(self) -> Receiver:
        return Receiver(f"http://127.0.0.1:{self.server_port}/invoices", SECRET)


class _Handler(BaseHTTPRequestHandler):
    server: Listening

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        message_id = self.headers["webhook-id"]
        signed = f"{message_id}.{self.headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert self.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        self.server.seen.append(message_id)
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 0:
            time.sleep(1)
            return
        if status == 200:
            self.server.taken.setdefault(message_id, body)
        self.send_response(status)
        if status == 302:
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def listening() -> Iterator[Listening]:
    server = Listening()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def invoice(store: ObjectStore) -> Invoice:
    used = Used("acme", "USD", LineKey("chat", "output", "v", 0, 7), 10, Decimal("1.5"))
    (made,) = invoices("2026-03", NOW, [used], ())
    Invoices(store).keep(made)
    return made


def told(store: ObjectStore, invoice: Invoice, receiver: Receiver) -> bool:
    return deliver(Invoices(store), invoice, receiver, lambda: NOW, lambda _: None, timeout_s=0.3)


def test_an_invoice_is_delivered_once(store: ObjectStore, invoice: Invoice, listening: Listening) -> None:
    assert told(store, invoice, listening.receiver)
    assert not told(store, invoice, listening.receiver)
    assert listening.seen == ["2026-03-acme-USD"]
    assert json.loads(listening.taken["2026-03-acme-USD"])["total_minor"] == 150


@pytest.mark.parametrize("answers", [[500], [503, 500], [429], [0], [0, 500]])
def test_a_receiver_in_trouble_is_told_again(
    store: ObjectStore, invoice: Invoice, listening: Listening, answers: list[int]
) -> None:
    listening.answers = list(answers)
    assert told(store, invoice, listening.receiver)
    assert listening.seen == [invoice.id] * (len(answers) + 1) and len(listening.taken) == 1


@pytest.mark.parametrize(
    ("answers", "words", "tries"),
    [
        ([500] * 9, "answered 500", 4),
        ([0] * 9, "no answer within 0.3 s", 4),
        ([302] * 9, "answered 302, a redirect, which is not followed", 1),
        ([403] * 9, "answered 403", 1),
    ],
)
def test_one_that_does_not_take_it_is_given_up_and_told_by_the_next_run(
    store: ObjectStore, invoice: Invoice, listening: Listening, answers: list[int], words: str, tries: int
) -> None:
    listening.answers = answers
    with pytest.raises(DeliveryError, match=words):
        told(store, invoice, listening.receiver)
    assert len(listening.seen) == tries and not listening.taken
    listening.answers = []
    assert told(store, invoice, listening.receiver)


def test_one_that_is_away_is_said_without_a_librarys_words(store: ObjectStore, invoice: Invoice) -> None:
    with pytest.raises(DeliveryError, match=r"did not take it \(cannot be reached") as failed:
        told(store, invoice, Receiver("http://127.0.0.1:9/x?token=hidden", SECRET))
    assert "hidden" not in str(failed.value)


def test_a_delivery_that_died_before_its_note_is_repeated_under_the_same_id(
    store: ObjectStore, invoice: Invoice, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Invoices, "note_told", killed)
        with pytest.raises(KeyboardInterrupt):
            told(store, invoice, listening.receiver)
    assert told(store, invoice, listening.receiver)
    assert listening.seen == [invoice.id] * 2 and len(listening.taken) == 1


@pytest.mark.parametrize(
    ("url", "secret"), [("ftp://x/y", SECRET), ("not an address", SECRET), ("http://h/", "short")]
)
def test_what_cannot_be_a_receiver_is_refused(url: str, secret: str) -> None:
    with pytest.raises(ValueError, match="SLIPWAY_INVOICE_WEBHOOK_"):
        Receiver(url, secret)
