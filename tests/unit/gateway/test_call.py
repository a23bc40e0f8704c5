"""What counts of a request, by how far it came and how it ended."""

import json
import time
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from slipway.gateway.usage.call import Call, Most
from slipway.gateway.usage.pace import Paces
from slipway.records.usage import WAITS, Units, UsageEvent
from slipway.tenants.database import KeyRecord, digest

KEY = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
SAID = {"prompt_tokens": 734, "completion_tokens": 2}
MOST = Most(prompt=3_000, output=50)
NOTHING, BY_ENGINE = (0, 0, "none"), (734, 2, "engine")


def call(*, stream: bool, handed_over: bool = True, pieces: int = 0, said: dict | None = None) -> Call:
    made = Call(KEY, "/v1/chat/completions", time.perf_counter() - 3600, deployment="chat", stream=stream)
    made.most = lambda: MOST
    if handed_over:
        made.handed_over = made.started
    for _ in range(pieces):
        made.usage.piece(0)
        made.note_token()
    if said is not None:
        made.usage.report(said, [])
    return made


@pytest.mark.parametrize(
    ("made", "status", "counted"),
    [
        (call(stream=True, handed_over=False), "cancelled", NOTHING),
        (call(stream=False, handed_over=False), "cancelled", NOTHING),
        (call(stream=False, handed_over=False), "limited", NOTHING),
        (call(stream=False, handed_over=False), "client_error", NOTHING),
        (call(stream=True, said=SAID, pieces=2), "success", BY_ENGINE),
        (call(stream=False, said=SAID), "success", BY_ENGINE),
        (call(stream=True, said=SAID, pieces=2), "cancelled", BY_ENGINE),
        (call(stream=True), "cancelled", (3_000, 0, "bound")),
        (call(stream=True, pieces=2), "cancelled", (3_000, 2, "bound")),
        (call(stream=True, pieces=2), "success", (3_000, 2, "bound")),
        (call(stream=True, pieces=2, said={"prompt_tokens": 734}), "success", (734, 2, "bound")),
        (call(stream=False), "cancelled", (3_000, 50, "bound")),
        (call(stream=False, said={"completion_tokens": 2}), "success", (3_000, 2, "bound")),
        (call(stream=True, pieces=2), "server_error", (0, 2, "bound")),
        (call(stream=True, pieces=2, said=SAID), "server_error", BY_ENGINE),
        (call(stream=True, said=SAID), "server_error", NOTHING),
        (call(stream=False, said=SAID), "server_error", NOTHING),
    ],
)
def test_what_counts(made, status, counted):
    made.end(status, None)
    event = made.event("gateway-0")
    assert (event.input_tokens, event.output_tokens, event.counted_by) == counted


SPOKEN = Units(output_audio_ms=2_500, characters=40)


@pytest.mark.parametrize(
    ("made", "status", "units"),
    [
        (call(stream=False), "success", SPOKEN),
        (call(stream=False), "cancelled", SPOKEN),
        (call(stream=True, pieces=1), "server_error", SPOKEN),
        (call(stream=False), "server_error", Units()),
        (call(stream=False), "client_error", Units()),
        (call(stream=False, handed_over=False), "cancelled", Units()),
    ],
)
def test_units_count_when_tokens_do(made, status, units):
    made.units = SPOKEN
    made.end(status, None)
    event = made.event("gateway-0")
    assert Units(**{unit.name: getattr(event, unit.name) for unit in fields(Units)}) == units
    assert (json.loads(event.encode()).get("characters"), made.log_fields().get("characters")) == (
        (40, 40) if units == SPOKEN else (None, None)
    )


def test_an_event_of_tokens_alone_is_written_without_other_units_and_waits():
    made = call(stream=False, said=SAID)
    made.end("success", None)
    event = made.event("gateway-0")
    written = json.loads(event.encode())
    units = {each.name for each in fields(Units)}
    assert written.keys() == {each.name for each in fields(event)} - units - {*WAITS}
    assert UsageEvent(**written) == event
    spoken = replace(event, characters=1)
    assert UsageEvent(**json.loads(spoken.encode())) == spoken


def test_the_fate_that_a_stream_is_saved_with_is_that_of_a_gateway_that_died():
    event = call(stream=True, pieces=2).event_if_killed("gateway-0")
    found = event.status, event.error_type, event.input_tokens, event.output_tokens, event.counted_by
    assert found == ("server_error", "gateway_killed", 0, 2, "bound")


def test_an_engines_own_words_do_not_make_an_event_long():
    made = call(stream=False)
    made.end("client_error", "x" * 10_000)
    assert made.event("gateway-0").error_type == "x" * 64


def test_a_time_bounds_tokens_by_the_fastest_that_was_seen_lately():
    paces = Paces()
    unseen = paces.most("chat", 3)
    assert unseen > 0
    paces.note("chat", 100, 10)
    assert (paces.most("chat", 3), paces.most("other", 3)) == (30, unseen)
    paces.note("chat", 1, 0.0001)  # too short to say anything
    paces.note("chat", 50, 10)
    assert 29 <= paces.most("chat", 3) <= 30
    for _ in range(1_000):
        paces.note("chat", 50, 10)
    assert paces.most("chat", 3) == 15
    assert paces.most("chat", -1) == 0
