"""Who is told of what, and when: every alert begins once and ends once for each receiver."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.alerts import ledger
from slipway.alerts.alert import PATIENCE_S, SEVERITY, Alert
from slipway.alerts.ledger import Ledger, Observation
from slipway.catalog.alerts import AlertName, AlertReceiver

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STALE = Alert("rollup_stale", "metering/usage_hourly", "3 hours")
ROLLOUT = Alert("rollout_failed", "rollout/chat", "no such argument", "team:chat")
IDLE = Alert("gpu_idle", "deployment/chat", "6 hours", "team:chat")


def receiver(name: str = "ops", **fields: object) -> AlertReceiver:
    return AlertReceiver.model_validate({"name": name, "kind": "slack", "webhook": {"env": "HOOK"}, **fields})


OPS = receiver()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Told:
    """A receiver that takes what it is told, and the memory between looks."""

    def __init__(self, *receivers: AlertReceiver) -> None:
        self.receivers = receivers or (OPS,)
        self.memory = Ledger()

    def look(self, seconds: float, *alerts: Alert, unknown: frozenset[AlertName] = frozenset()) -> list[str]:
        """What is told after a look, such as `ops + rollup_stale/...`; the memory survives a restart."""
        self.memory = ledger.observed(self.memory, Observation(alerts, unknown), at(seconds))
        said = []
        for name, notice in ledger.due(self.memory, self.receivers, at(seconds)).items():
            said += [f"{name} + {each.alert.name}" for each in notice.begun]
            said += [f"{name} - {each.alert.name}" for each in notice.over]
            self.memory = ledger.told(self.memory, name, notice)
        self.memory = ledger.forgotten(self.memory, self.receivers)
        assert ledger.decode(ledger.encode(self.memory)) == self.memory
        return said


def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    ops = Told()
    assert ops.look(0, STALE) == ["ops + rollup_stale"]
    assert [ops.look(seconds, STALE) for seconds in (30, 60, 3600)] == [[], [], []]
    assert [ops.look(seconds) for seconds in (3630, 3660)] == [[], []]
    assert ops.look(3690) == ["ops - rollup_stale"]
    assert ops.look(3720) == [] and ops.memory.entries == {}
    assert ops.look(3750, STALE) == ["ops + rollup_stale"]


def test_one_that_comes_again_within_a_moment_has_never_been_over() -> None:
    ops = Told()
    ops.look(0, STALE)
    assert [ops.look(30), ops.look(60, STALE), ops.look(90), ops.look(120, STALE)] == [[], [], [], []]


def test_what_cannot_be_looked_for_neither_begins_nor_ends() -> None:
    ops = Told()
    ops.look(0, STALE, ROLLOUT)
    blind: frozenset[AlertName] = frozenset({"rollup_stale"})
    assert ops.look(600, ROLLOUT, unknown=blind) == []
    assert ops.look(3600, ROLLOUT, unknown=blind) == []
    assert ops.look(3630, ROLLOUT) == []  # a moment without it is not its end
    assert ops.look(3690, ROLLOUT) == ["ops - rollup_stale"]


def test_what_may_pass_by_itself_is_told_only_when_it_lasts() -> None:
    blip = Alert("observation_failed", "rollup_stale", "the store is away")
    ops = Told()
    assert [ops.look(0, blip), ops.look(PATIENCE_S["observation_failed"] - 1, blip)] == [[], []]
    assert ops.look(PATIENCE_S["observation_failed"], blip) == ["ops + observation_failed"]
    assert Told().look(0, blip) == []  # and its end is nobody's concern then
    other = Told()
    other.look(0, blip)
    assert [other.look(120), other.memory.entries] == [[], {}]


def test_each_receiver_hears_what_it_asked_for_by_severity_owner_and_name() -> None:
    told = Told(
        receiver("all", least="info"),
        receiver("bad", least="error"),
        receiver("chat-team", owners=["team:chat"]),
        receiver("others", owners=["team:others"]),
        receiver("idle", alerts=["gpu_idle"]),
    )
    assert told.look(0, STALE, ROLLOUT, IDLE) == [
        "all + rollout_failed", "all + rollup_stale", "all + gpu_idle",
        "bad + rollout_failed", "bad + rollup_stale",
        "chat-team + rollout_failed", "chat-team + rollup_stale", "chat-team + gpu_idle",
        "others + rollup_stale",
        "idle + gpu_idle",
    ]  # fmt: skip
    assert len(told.look(100, STALE, ROLLOUT)) == 3  # of idle GPUs, to those who knew


def test_a_receiver_that_does_not_take_it_is_tried_again_ever_less_often() -> None:
    memory = ledger.observed(Ledger(), Observation([STALE]), START)
    tried = []
    for seconds in range(0, 7200, 10):
        if ledger.due(memory, [OPS], at(seconds)):
            tried.append(seconds)
            memory = ledger.not_told(memory, "ops", at(seconds))
    assert tried[:6] == [0, 30, 90, 210, 450, 930] and tried[-1] - tried[-2] == 900
    (notice,) = ledger.due(memory, [OPS], at(9000)).values()
    assert ledger.told(memory, "ops", notice).troubles == {}


def test_an_alert_that_ends_before_it_could_be_told_is_not_told() -> None:
    memory = ledger.observed(Ledger(), Observation([STALE]), START)
    memory = ledger.not_told(memory, "ops", START)
    memory = ledger.observed(memory, Observation(), at(120))
    assert ledger.due(memory, [OPS], at(120)) == {}
    assert ledger.forgotten(memory, [OPS]).entries == {}


def test_a_receiver_that_is_gone_is_forgotten_and_a_new_one_hears_what_is_wrong_now() -> None:
    ops = Told()
    ops.look(0, STALE)
    ops.receivers = (receiver("new"),)
    assert ops.look(30, STALE) == ["new + rollup_stale"]
    assert ops.memory.entries[STALE.key].told == {"new"}


def test_the_memory_has_a_bound_and_keeps_what_was_told() -> None:
    ops = Told()
    ops.look(0, STALE)
    many = [Alert("gpu_idle", f"deployment/{number}", "x" * 5000) for number in range(2000)]
    ops.look(30, *many, ROLLOUT)
    assert len(ops.memory.entries) == ledger.MOST
    assert {STALE.key, ROLLOUT.key} <= ops.memory.entries.keys()
    assert len(ledger.encode(ops.memory)) < 1_000_000


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"entries": [1]}', '{"entries": [{"alert": {}}]}', '{"entries": 5}']
)
def test_a_memory_of_another_version_is_none(text: str) -> None:
    assert ledger.decode(text) == Ledger()


def test_every_name_has_a_severity_and_a_part_in_the_docs() -> None:
    from pathlib import Path
    from typing import get_args

    names = set(get_args(AlertName))
    assert names == SEVERITY.keys()
    page = (Path(__file__).parents[3] / "docs/alerts.md").read_text()
    for name, severity in SEVERITY.items():
        assert f"### {name}\n\nSeverity: {severity}." in page
