"""Alerts as they arrive: at a web server and a mail server, each a real one, and one that is away."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from click.testing import CliRunner

from slipway.alerts import formats, ledger
from slipway.alerts.alert import Alert
from slipway.alerts.ledger import Ledger, Observation
from slipway.catalog.alerts import AlertReceiver
from slipway.commands.alert import alert
from slipway.control.alerting import tell
from slipway.stack.ports import free_ports

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BROKEN = Alert("rollout_failed", "rollout/chat", "--ctx-sise is <no> argument & none", "team:chat")
STALE = Alert("rollup_stale", "metering/usage_hourly", "3 hours are not rolled up")
KEY = "R0UT1NGKEY"


@dataclass
class Hook:
    """A web server that keeps what it was sent, and answers with the statuses that it was given."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(kept.statuses.pop(0) if kept.statuses else 202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Hook(f"http://127.0.0.1:{server.server_port}/hook?token=s3cret")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()


class Mailbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuses = False

    async def handle_RCPT(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    mailbox = Mailbox()
    (port,) = free_ports(1)
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, f"smtp://127.0.0.1:{port}"
    controller.stop()


def receiver(**fields: object) -> AlertReceiver:
    return AlertReceiver.model_validate({"name": "ops", **fields})


SLACK = receiver(kind="slack", webhook={"env": "HOOK"})
WEBHOOK = receiver(kind="webhook", webhook={"env": "HOOK"})
PAGER = receiver(kind="pagerduty", webhook={"env": "HOOK"}, routing_key={"env": "KEY"})
MAIL = receiver(kind="email", to=["ops@example.com", "night@example.com"])


def begins_and_ends(who: AlertReceiver, variables: dict[str, str], *alerts: Alert) -> list[str]:
    """Look four times: twice while it is so, twice after; everything that was said."""
    memory, said = Ledger(), []
    for seconds in (0, 30):
        now = NOW + timedelta(seconds=seconds)
        memory = tell(ledger.observed(memory, Observation(alerts), now), [who], variables, now, said.append)
    for seconds in (150, 180):
        now = NOW + timedelta(seconds=seconds)
        memory = tell(ledger.observed(memory, Observation(), now), [who], variables, now, said.append)
    assert memory == Ledger()
    return said


def test_slack_is_told_once_and_once_more_when_it_is_over(hook: Hook) -> None:
    begins_and_ends(SLACK, {"HOOK": hook.url}, BROKEN, STALE)
    assert [body["text"] for body in hook.bodies] == ["Slipway: 2 alerts", "Slipway: 2 over"]
    assert [each["text"] for each in hook.bodies[0]["attachments"]] == [
        "error: rollout_failed rollout/chat (team:chat): --ctx-sise is &lt;no&gt; argument &amp; none",
        "error: rollup_stale metering/usage_hourly: 3 hours are not rolled up",
    ]


def test_a_webhook_gets_all_of_each_alert(hook: Hook) -> None:
    begins_and_ends(WEBHOOK, {"HOOK": hook.url}, BROKEN)
    begun, over = hook.bodies
    assert begun["begun"] == [
        {
            "key": "rollout_failed/rollout/chat", "name": "rollout_failed", "subject": "rollout/chat",
            "severity": "error", "owner": "team:chat", "summary": BROKEN.summary,
            "since": "2026-03-01T12:00:00+00:00", "over_at": None,
        }
    ]  # fmt: skip
    assert over["begun"] == [] and over["over"][0]["over_at"] == "2026-03-01T12:02:30+00:00"


def test_pagerduty_gets_an_event_for_each_alert_that_resolves_its_own(hook: Hook) -> None:
    begins_and_ends(PAGER, {"HOOK": hook.url, "KEY": KEY}, BROKEN, STALE)
    assert [(body["event_action"], body["dedup_key"]) for body in hook.bodies] == [
        ("trigger", "slipway/rollout_failed/rollout/chat"),
        ("trigger", "slipway/rollup_stale/metering/usage_hourly"),
        ("resolve", "slipway/rollout_failed/rollout/chat"),
        ("resolve", "slipway/rollup_stale/metering/usage_hourly"),
    ]
    assert {body["routing_key"] for body in hook.bodies} == {KEY}
    assert hook.bodies[0]["payload"]["severity"] == "error"


def test_mail_goes_to_all_addresses_as_one_message(mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    said = begins_and_ends(
        MAIL, {"SLIPWAY_SMTP_URL": url, "SLIPWAY_SMTP_FROM": "slipway@example.com"}, BROKEN
    )
    begun, over = (message_from_bytes(bytes(each.content or b""), policy=default) for each in mailbox.taken)
    assert mailbox.taken[0].rcpt_tos == ["ops@example.com", "night@example.com"]
    assert begun["subject"] == "Slipway: error rollout_failed rollout/chat"
    assert "--ctx-sise is <no> argument & none" in begun.get_content()
    assert over["subject"] == "Slipway: over: rollout_failed rollout/chat"
    assert len(said) == 2


def test_what_is_not_taken_is_told_later_and_only_once(hook: Hook) -> None:
    hook.statuses = [500, 429]
    memory, said = Ledger(), []
    for seconds in range(0, 300, 30):
        now = NOW + timedelta(seconds=seconds)
        memory = ledger.observed(memory, Observation([STALE]), now)
        memory = tell(memory, [SLACK], {"HOOK": hook.url}, now, said.append)
    assert said == [
        "alert receiver ops: 127.0.0.1: answered 500. It is tried again.",
        "alert receiver ops: 127.0.0.1: answered 429. It is tried again.",
        "ops: told of 1 that began and 0 that are over",
    ]
    assert len(hook.bodies) == 3


def test_one_that_is_away_keeps_no_other_from_being_told(hook: Hook) -> None:
    (closed,) = free_ports(1)
    away = receiver(kind="slack", webhook={"env": "AWAY"})
    here = receiver(name="here", kind="slack", webhook={"env": "HOOK"})
    said: list[str] = []
    variables = {"AWAY": f"http://127.0.0.1:{closed}/s3cret", "HOOK": hook.url}
    memory = ledger.observed(Ledger(), Observation([STALE]), NOW)
    memory = tell(memory, [away, here], variables, NOW, said.append)
    assert len(hook.bodies) == 1 and memory.entries[STALE.key].told == {"here"}
    assert said[0] == "alert receiver ops: 127.0.0.1: cannot be reached. It is tried again."
    assert "s3cret" not in "".join(said)


@pytest.mark.parametrize(
    ("who", "variables", "message"),
    [
        (SLACK, {}, "its webhook is to come from HOOK, which is not set"),
        (SLACK, {"HOOK": "hooks.example/s3cret"}, "not an address"),
        (SLACK, {"HOOK": "https://[s3cret/x"}, "not an address"),
        (PAGER, {"HOOK": "http://127.0.0.1:1"}, "its routing_key is to come from KEY"),
        (MAIL, {"SLIPWAY_SMTP_FROM": "a@b.example"}, "SLIPWAY_SMTP_URL or SLIPWAY_SMTP_FROM is not set"),
        (MAIL, {"SLIPWAY_SMTP_URL": "smtp://h:x/", "SLIPWAY_SMTP_FROM": "a@b.example"}, "no address"),
        (MAIL, {"SLIPWAY_SMTP_URL": "smtp://127.0.0.1:1", "SLIPWAY_SMTP_FROM": "a@b.example"}, "be reached"),
    ],
)
def test_a_receiver_that_is_set_up_wrongly_is_named_with_what_to_do_and_no_secret(
    who: AlertReceiver, variables: dict[str, str], message: str
) -> None:
    said: list[str] = []
    memory = ledger.observed(Ledger(), Observation([STALE]), NOW)
    memory = tell(memory, [who], variables, NOW, said.append)
    assert message in said[0] and "s3cret" not in said[0]
    assert memory.troubles["ops"].count == 1


def test_what_nobody_expected_of_one_receiver_keeps_no_other_from_being_told(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("R0UT1NGKEY")

    monkeypatch.setattr(formats, "pagerduty", fails)
    said: list[str] = []
    here = receiver(name="here", kind="slack", webhook={"env": "HOOK"})
    memory = ledger.observed(Ledger(), Observation([STALE]), NOW)
    memory = tell(memory, [PAGER, here], {"HOOK": hook.url, "KEY": KEY}, NOW, said.append)
    assert len(hook.bodies) == 1 and memory.troubles["ops"].count == 1
    assert said[0].startswith("alert receiver ops: RuntimeError") and KEY not in said[0]


def test_a_mail_server_that_refuses_all_is_said(mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    mailbox.refuses = True
    said: list[str] = []
    variables = {"SLIPWAY_SMTP_URL": url, "SLIPWAY_SMTP_FROM": "slipway@example.com"}
    tell(ledger.observed(Ledger(), Observation([STALE]), NOW), [MAIL], variables, NOW, said.append)
    assert "refused every one of ops@example.com, night@example.com" in said[0]


def test_a_password_is_not_sent_without_tls(mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    said: list[str] = []
    variables = {
        "SLIPWAY_SMTP_URL": url.replace("smtp://", "smtp://user:pa%40ss@"),
        "SLIPWAY_SMTP_FROM": "slipway@example.com",
    }
    tell(ledger.observed(Ledger(), Observation([STALE]), NOW), [MAIL], variables, NOW, said.append)
    assert "offers no TLS, and the password is not sent without" in said[0] and mailbox.taken == []


def test_the_command_tries_every_receiver_and_fails_where_one_was_not_told(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.yaml").write_text(
        "kind: Settings\nname: settings\nspec:\n  alert_receivers:\n"
        "    - {name: ops, kind: slack, webhook: {env: HOOK}, least: critical}\n"
        "    - {name: night, kind: pagerduty, routing_key: {env: UNSET_KEY}}\n"
    )
    monkeypatch.setenv("HOOK", hook.url)
    run = CliRunner().invoke(alert, ["test", "--catalog", str(tmp_path)])
    assert (run.exit_code, len(hook.bodies)) == (1, 2)
    assert "ops: told" in run.output and "UNSET_KEY, which is not set" in run.output
    assert CliRunner().invoke(alert, ["test", "--catalog", str(tmp_path), "ops"]).exit_code == 0
    unknown = CliRunner().invoke(alert, ["test", "--catalog", str(tmp_path), "day"])
    assert unknown.exit_code == 2 and "The catalog has: ops, night" in unknown.output
