"""What tenants are told of their usage and costs, out of what a real rollup published."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from slipway.gateway.admin.usage import question, results
from slipway.gateway.admin.usage.kinds import KINDS
from slipway.gateway.admin.usage.reader import UnreadableUsageError, UsageReader
from slipway.gateway.api.parameters import Parameters
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.objectstore import ObjectStore
from slipway.records import published_usage
from slipway.records.published_usage import COMPLETE_KEY, Complete, day_key
from slipway.tenants import users

from .conftest import HOUR, JANUARY, NOW

DAY = timedelta(days=1)
KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture
def told(store: ObjectStore, tmp_path: Path):
    """Asks as a tenant's call does: a kind, the organization and a query string; gives the page."""
    reader = UsageReader(store, tmp_path / "cache")

    def ask(kind: str, org: str, query: str, projects=None, now: datetime = NOW):
        asked = question.read(KIND[kind], Parameters(query.encode()), int(now.timestamp()))
        return results.page(asked, reader.used(org, asked, projects or {}))

    return ask


@pytest.fixture
def published(store, warehouse, ship, new_event, schedule):
    """Two days of two orgs with several keys, rolled up and published; the events."""
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 123_457, 3, 987_654_321))], now=JANUARY)
    chance = random.Random(5)
    events = []
    for hour in (HOUR, HOUR + timedelta(hours=1), HOUR + DAY):
        of_hour = [
            new_event(
                hour + timedelta(seconds=n),
                org=chance.choice(("acme", "other")),
                api_key=chance.choice(("key-1", "key-2")),
                model=chance.choice(("chat", "chat-lora")),
                input_tokens=chance.randrange(50, 5_000),
                cached_tokens=chance.randrange(0, 50),
                output_tokens=chance.randrange(1, 900),
            )
            for n in range(40)
        ]
        ship(hour, of_hour)
        events += of_hour
    roll_up(store, warehouse, [HOUR + timedelta(hours=n) for n in range(25)], run_id="r", now=NOW)
    publish(warehouse, store, [HOUR, HOUR + DAY])
    return events


def cost(event) -> Decimal:
    pico = (
        (event.input_tokens - event.cached_tokens) * 123_457
        + event.cached_tokens * 3
        + event.output_tokens * 987_654_321
    )
    return Decimal(pico).scaleb(-12)


def start(moment: datetime) -> int:
    return int(moment.timestamp())


def flat(page) -> list[dict]:
    return [
        {**result, "start": bucket["start_time"]} for bucket in page["data"] for result in bucket["results"]
    ]


def test_a_page_says_what_one_organization_used_to_the_last_token_and_digit(published, told):
    of_acme = [event for event in published if event.org == "acme"]
    query = f"start_time={start(HOUR)}&end_time={start(HOUR + 2 * DAY)}"
    (first, second) = flat(told("completions", "acme", query))
    (first_cost, second_cost) = flat(told("costs", "acme", query))
    for result, money, day in ((first, first_cost, HOUR), (second, second_cost, HOUR + DAY)):
        of_day = [event for event in of_acme if datetime.fromisoformat(event.ts).date() == day.date()]
        assert (result["num_model_requests"], result["input_tokens"], result["output_tokens"]) == (
            len(of_day),
            sum(event.input_tokens for event in of_day),
            sum(event.output_tokens for event in of_day),
        )
        assert result["input_cached_tokens"] == sum(event.cached_tokens for event in of_day)
        exact = sum(map(cost, of_day))
        assert Decimal(money["amount"]["value_exact"]) == exact
        assert (money["amount"]["value"], money["amount"]["currency"]) == (float(exact), "usd")
    assert first["model"] is first["project_id"] is first["api_key_id"] is None
    assert first["start"] == start(HOUR)  # not midnight: nothing before was asked for


def test_groups_and_filters_tell_callers_and_models_apart(published, told):
    of_acme = [event for event in published if event.org == "acme"]
    query = f"start_time={start(HOUR)}&end_time={start(HOUR + 2 * DAY)}&limit=31"
    projects = {"key-1": "proj_one"}
    for group, of in (
        ("api_key_id", lambda event: event.api_key),
        ("model", lambda event: event.model),
        ("user_id", lambda event: users.id_of("acme", event.user)),
        ("project_id", lambda event: projects.get(event.api_key)),
    ):
        seen: dict = {}
        for result in flat(told("completions", "acme", f"{query}&group_by[]={group}", projects)):
            seen[result[group]] = seen.get(result[group], 0) + result["output_tokens"]
        expected: dict = {}
        for event in of_acme:
            expected[of(event)] = expected.get(of(event), 0) + event.output_tokens
        assert seen == expected
    for filtered, kept in (
        ("api_key_ids[]=key-2", lambda event: event.api_key == "key-2"),
        ("models[]=chat-lora", lambda event: event.model == "chat-lora"),
        ("project_ids[]=proj_one", lambda event: event.api_key == "key-1"),
        ("user_ids[]=nobody", lambda event: False),
        ("batch=true", lambda event: False),
    ):
        found = flat(told("completions", "acme", f"{query}&{filtered}", projects))
        assert sum(result["num_model_requests"] for result in found) == len(
            [event for event in of_acme if kept(event)]
        )
    lines = flat(told("costs", "acme", f"{query}&group_by[]=line_item&line_items[]=chat"))
    assert {line["line_item"] for line in lines} == {"chat"}
    assert sum(Decimal(line["amount"]["value_exact"]) for line in lines) == sum(
        cost(event) for event in of_acme if event.model == "chat"
    )


def test_each_kind_has_the_requests_of_its_tasks_in_its_unit(store, warehouse, ship, new_event, told):
    """Also those that used nothing, which only their task tells apart."""
    nothing = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
    ship(
        HOUR,
        [
            new_event(task="text-generation", output_tokens=0, status="cancelled", deployment="chat2"),
            new_event(task="embedding", output_tokens=0, deployment="embed"),
            new_event(task="embedding", **nothing, status="server_error", deployment="embed"),
            new_event(task="rerank", output_tokens=0, documents=7, searches=1, deployment="rerank"),
            new_event(
                task="text-to-speech", **nothing, characters=33, output_audio_ms=2_100, deployment="tts"
            ),
            new_event(task="speech-to-text", **nothing, input_audio_ms=1_500, deployment="stt"),
            new_event(task="speech-to-text", output_tokens=9, input_audio_ms=1_001, deployment="stt"),
            new_event(task="of a later version", deployment="later"),
            new_event(task="speech-to-text", status="client_error", **nothing, deployment="stt"),
        ],
    )
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish(warehouse, store, [HOUR])

    def sums(kind: str, *names: str) -> list[int]:
        (result,) = flat(told(kind, "acme", f"start_time={start(HOUR)}&end_time={start(HOUR) + 3600}"))
        return [result[name] for name in names]

    assert sums("completions", "num_model_requests") == [1 + 1]
    assert sums("embeddings", "num_model_requests", "documents", "searches") == [3, 7, 1]
    assert sums("audio_speeches", "num_model_requests", "characters", "output_audio_ms") == [1, 33, 2_100]
    assert sums("audio_transcriptions", "num_model_requests", "seconds", "input_audio_ms") == [2, 3, 2_501]


def test_pages_of_hours_together_are_the_whole(published, told):
    query = f"start_time={start(HOUR)}&end_time={start(HOUR + 2 * DAY)}&bucket_width=1h&limit=7"
    page = told("completions", "acme", query)
    found = flat(page)
    while page["has_more"]:
        page = told("completions", "acme", f"{query}&page={page['next_page']}")
        found += flat(page)
    hours = sorted({HOUR, HOUR + timedelta(hours=1), HOUR + DAY})
    assert [result["start"] for result in found] == [start(hour) for hour in hours]


def test_nothing_was_used_of_what_nobody_here_does(published, told):
    for kind in ("moderations", "images", "vector_stores", "code_interpreter_sessions", "embeddings"):
        page = told(kind, "acme", f"start_time={start(HOUR)}&end_time={start(HOUR + 2 * DAY)}")
        assert [bucket["results"] for bucket in page["data"]] == [[], [], []]
    assert flat(told("completions", "nobody", f"start_time={start(HOUR)}")) == []


def test_it_is_said_until_when_usage_is_complete(store, warehouse, ship, new_event, told):
    """The running hour, an hour that was left out, and what comes after it are not complete."""
    query = f"start_time={start(HOUR)}"
    assert told("completions", "acme", query)["complete_until"] is None  # nothing was published

    def rolled_up(*hours: int, now: datetime = NOW):
        asked = [HOUR + timedelta(hours=n) for n in hours]
        roll_up(store, warehouse, asked, run_id="r", now=now)
        publish(warehouse, store, asked)
        until = told("completions", "acme", query)["complete_until"]
        return None if until is None else datetime.fromtimestamp(until, UTC) - HOUR

    running = HOUR + timedelta(minutes=30)
    assert rolled_up(0, now=running) is None
    assert rolled_up(0, 1, now=running + timedelta(hours=1)) == timedelta(hours=1)
    assert rolled_up(1, 2, 4) == timedelta(hours=3)
    assert rolled_up(3) == timedelta(hours=5)
    # A mark that is lost or broken comes back with the next publication.
    for broken in (b"{", b'{"complete_until": "2026-01-01T00:00:00"}', b'{"complete_until": 5}', b"[]"):
        store.put(COMPLETE_KEY, broken)
        assert told("completions", "acme", query)["complete_until"] is None
    store.delete(COMPLETE_KEY)
    assert rolled_up(4) == timedelta(hours=5)


def test_a_day_that_changed_is_fetched_again_and_one_that_did_not_is_not(
    published, store, warehouse, ship, new_event, tmp_path
):
    class Counting(ObjectStore):
        fetched = 0

        def get_if_changed(self, key, etag):
            self.fetched += key.endswith(".parquet")
            return super().get_if_changed(key, etag)

    counting = Counting(store.location)
    reader = UsageReader(counting, tmp_path / "counted")
    asked = question.read(KIND["completions"], Parameters(f"start_time={start(HOUR)}".encode()), start(NOW))

    def requests() -> int:
        return sum(row["requests"] for row in reader.used("acme", asked, {}).rows)

    before = requests()
    assert requests() == before
    assert counting.fetched == 2
    ship(HOUR, [new_event(HOUR + timedelta(minutes=30))])
    roll_up(store, warehouse, [HOUR], run_id="late", now=NOW)
    publish(warehouse, store, [HOUR])
    assert requests() == before + 1
    assert counting.fetched == 3
    assert not list((tmp_path / "counted").glob("read-*"))


def test_files_of_versions_without_todays_columns_are_read(published, store, told, tmp_path):
    """And one that is no Parquet is said to be unreadable, until it is published again."""
    import duckdb

    query = f"start_time={start(HOUR)}&end_time={start(HOUR + DAY)}"
    before = flat(told("completions", "acme", query))
    key = day_key(published_usage.USAGE, HOUR.date())
    whole, old = store.get(key), tmp_path / "old.parquet"
    (tmp_path / "whole.parquet").write_bytes(whole)
    duckdb.sql(
        'COPY (SELECT hour, org, "user", api_key, model, requests, client_errors, limited, input_uncached, '
        f"input_cached, output, cost, currency FROM '{tmp_path}/whole.parquet') TO '{old}'"
    )
    store.put(key, old.read_bytes())
    assert flat(told("completions", "acme", query)) == before
    store.put(key, b"no parquet")
    with pytest.raises(UnreadableUsageError):
        told("completions", "acme", query)
    store.put(key, whole)
    assert flat(told("completions", "acme", query)) == before


def test_the_mark_says_what_it_was_made_of():
    for until in (None, HOUR):
        assert Complete.decode(Complete(until).encode()) == Complete(until)
