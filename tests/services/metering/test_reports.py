"""Reports of two days of generated traffic, rolled up for real: in a real browser, without a network."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipway.environment import S3Location
from slipway.metering import replicas
from slipway.metering.asking import Question
from slipway.metering.periods import Period
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.reports import contents
from slipway.metering.reports.making import make
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.usage import UsageEvent, event_time
from slipway.stack.demo import report
from slipway.stack.demo.claims import Claim
from testbed import demo_traffic, stores
from testbed.browser import browser, chromium
from testbed.programs import MissingProgramError

FIRST = datetime(2026, 10, 5, tzinfo=UTC)
PERIOD = Period(FIRST, FIRST + timedelta(hours=demo_traffic.HOURS))
MADE = datetime(2026, 10, 7, 0, 5, tzinfo=UTC)
OF_PART = "JSON.parse(document.getElementById('data').textContent).parts[0]"


@dataclass(frozen=True)
class TwoDays:
    """The published copy, the events that it was made of, and a page of each kind."""

    copy: PublishedCopy
    events: list[UsageEvent]
    pages: dict[str, Path]


@pytest.fixture(scope="module", autouse=True)
def a_browser() -> None:
    try:
        chromium()
    except MissingProgramError as error:
        pytest.skip(f"{error} Reports are opened where Chromium is on the PATH, or in Debian's packages.")


@pytest.fixture(scope="module")
def two_days(seaweed: S3Location, tmp_path_factory: pytest.TempPathFactory) -> TwoDays:
    root = tmp_path_factory.mktemp("reports")
    store = stores.with_bucket(seaweed, f"t-{uuid.uuid4().hex[:12]}")
    copy = rolled_up(store, root)
    store.client.delete_bucket(Bucket=store.location.bucket)
    pages = {kind: root / f"{kind}.html" for kind in contents.KINDS}
    for kind, path in pages.items():
        path.write_text(make(copy, kind, Question(PERIOD), MADE))
    return TwoDays(copy, list(demo_traffic.events(FIRST)), pages)


def rolled_up(store: ObjectStore, root: Path) -> PublishedCopy:
    warehouse = Warehouse(root / "warehouse")
    demo_traffic.write(store, warehouse, root / "spool", FIRST)
    hours = [FIRST + timedelta(hours=n) for n in range(demo_traffic.HOURS)]
    roll_up(store, warehouse, hours, run_id="generated", now=MADE)
    replicas.roll_up(store, warehouse, hours)
    publish_copy(warehouse)
    return PublishedCopy(warehouse.directory)


def table(number: int) -> str:
    """A script that gives the rows of a table as text, all pages of it."""
    return f"""(() => {{
        const section = document.querySelectorAll('#report > section')[{number}], rows = [];
        const read = () => section.querySelectorAll('tbody tr').forEach(
            (row) => rows.push([...row.cells].map((cell) => cell.textContent)));
        const next = () => section.querySelectorAll('button')[1];
        read();
        while (next() && !next().disabled) {{ next().click(); read(); }}
        return rows;
    }})()"""


def choose(name: str, value: str) -> str:
    return (
        f"(() => {{ const e = document.getElementById({json.dumps(name)}); e.value = {json.dumps(value)}; "
        "e.dispatchEvent(new Event('change')); })()"
    )


@pytest.mark.parametrize("kind", list(contents.KINDS))
async def test_a_page_opens_without_a_network_on_a_phone_and_a_desk_by_day_and_night(
    two_days: TwoDays, kind: str
) -> None:
    papers = set()
    async with browser() as page:
        for width in (390, 1280):
            for dark in (False, True):
                await page.open(two_days.pages[kind].as_uri(), width=width, dark=dark)
                drawn = await page.evaluate("document.querySelectorAll('.uplot canvas').length")
                assert drawn == await page.evaluate(f"{OF_PART}.plots.length") > 0
                assert await page.evaluate("document.documentElement.scrollWidth") == width
                papers.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert set(page.requested) == {two_days.pages[kind].as_uri()}
        assert page.errors == []
    assert len(papers) == 2  # light and dark


async def test_filters_narrow_rows_and_money_stays_exact(two_days: TwoDays) -> None:
    org, deployment = "generated-globex", "code-32b"
    since, until = FIRST + timedelta(hours=9), FIRST + timedelta(hours=17)
    with two_days.copy.reading() as connection:
        sums = (
            "SELECT sum(requests)::BIGINT, sum(output)::BIGINT, sum(cost)::DECIMAL(38, 12) FROM usage_hourly"
        )
        everything = connection.execute(f"{sums} WHERE deployment = $1", [deployment]).fetchone()
        narrowed = connection.execute(
            f"{sums} WHERE org = $1 AND deployment = $2 AND hour >= $3 AND hour < $4",
            [org, deployment, since, until],
        ).fetchone()
    async with browser() as page:
        await page.open(two_days.pages["usage"].as_uri(), width=1280, dark=False)
        await page.evaluate(choose("deployment", deployment))
        rows = await page.evaluate(table(0))
        assert {row[1] for row in rows} == {deployment} and len(rows) == len(demo_traffic.ORGS)
        await page.evaluate(choose("org", org))
        await page.evaluate(choose("from", f"{since:%Y-%m-%dT%H:%M}"))
        await page.evaluate(choose("to", f"{until:%Y-%m-%dT%H:%M}"))
        (row,) = await page.evaluate(table(0))
        by_hour = await page.evaluate(table(1))
    assert everything is not None and narrowed is not None and narrowed != everything
    told = [row[0], row[1], row[2], int(row[3].replace(",", "")), row[-1]]
    assert told == [org, deployment, "USD", narrowed[0], format(narrowed[2], "f")]
    assert [hour[0] for hour in by_hour] == [f"2026-10-05 {hour:02d}:00" for hour in range(9, 17)]


async def test_quantiles_of_a_filtered_period_are_within_the_bound_of_the_exact_ones(
    two_days: TwoDays,
) -> None:
    until = FIRST + timedelta(hours=24)
    ttft_ms = sorted(
        event.ttft_us / 1e3
        for event in two_days.events
        if event.deployment == "chat-8b" and event.stream and event.ttft_us is not None
        if event_time(event.request_id) < until
    )
    async with browser() as page:
        await page.open(two_days.pages["latency"].as_uri(), width=1280, dark=False)
        await page.evaluate(choose("to", f"{until:%Y-%m-%dT%H:%M}"))
        await page.evaluate(choose("deployment", "chat-8b"))
        (row,) = await page.evaluate(table(0))
    for q, told in zip((0.5, 0.95, 0.99), row[2:5], strict=True):
        exact = ttft_ms[int(np.ceil(q * len(ttft_ms))) - 1]
        assert float(told) == pytest.approx(exact, rel=0.0102, abs=0.051)  # told with one decimal


async def test_long_tables_are_paged(two_days: TwoDays) -> None:
    async with browser() as page:
        await page.open(two_days.pages["usage"].as_uri(), width=390, dark=True)
        shown = "document.querySelectorAll('#report > section')[1].querySelectorAll('tbody tr').length"
        assert await page.evaluate(shown) == 25
        rows = await page.evaluate(table(1))
    filled = {(event_time(e.request_id).replace(minute=0, second=0, microsecond=0)) for e in two_days.events}
    assert len({row[0] for row in rows}) == len(filled) == 47  # one hour had no requests


def test_what_does_not_fit_is_summed_and_said_and_totals_stay_exact(
    two_days: TwoDays, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents.usage(two_days.copy, Question(PERIOD))
    monkeypatch.setattr(contents, "MAX_ROWS", 2 * demo_traffic.HOURS)
    part = contents.usage(two_days.copy, Question(PERIOD))
    pairs = len(demo_traffic.KINDS) * len(demo_traffic.ORGS)
    assert any(f"the other {pairs - 2} are summed as (others)" in note for note in part["notes"])
    assert set(part["names"]["org"]) - {"(others)"} < set(demo_traffic.ORGS)
    assert totals(part) == totals(whole)
    latency = contents.latency(two_days.copy, Question(PERIOD))
    kept = latency["names"]["deployment"]
    assert len(kept) == 2 and any("1 of 3 deployments" in note for note in latency["notes"])


async def test_gpu_time_stands_beside_what_was_earned_and_each_is_counted_once(two_days: TwoDays) -> None:
    sampled = list(demo_traffic.samples(FIRST))
    seconds = {
        kind.deployment: sum(
            each.gpus * instant.interval_s
            for instant in sampled
            for each in instant.samples
            if each.deployment == kind.deployment
        )
        for kind in demo_traffic.KINDS
    }
    async with browser() as page:
        await page.open(two_days.pages["economics"].as_uri(), width=1280, dark=False)
        heads = await page.evaluate(
            "[...document.querySelectorAll('#report > section th')].map((each) => each.textContent)"
        )
        rows = await page.evaluate(table(0))
    told = {row[0]: int(row[heads.index("gpu seconds")].replace(",", "")) for row in rows}
    assert told == seconds and min(told.values()) > 0
    assert {row[0]: row[1] for row in rows} == {kind.deployment: kind.currency for kind in demo_traffic.KINDS}


async def test_the_demo_s_page_has_the_same_plots_and_filters(two_days: TwoDays, tmp_path: Path) -> None:
    document = {
        "model": {"source": "hf://o/m", "bytes": 1_500_000, "files": 1, "commit": "0" * 40},
        "tenants": [],
        "prices": [],
        "seconds": {"weights": 1.5, "rollup": 3.0},
    }
    parts = [
        contents.usage(two_days.copy, Question(PERIOD)),
        contents.latency(two_days.copy, Question(PERIOD)),
    ]
    path = tmp_path / "report.html"
    path.write_text(report.page(document, [Claim("it is billed", True, "a < b")], parts, MADE))
    async with browser() as page:
        await page.open(path.as_uri(), width=390, dark=True)
        drawn = await page.evaluate("document.querySelectorAll('.uplot canvas').length")
        assert drawn == sum(len(part["plots"]) for part in parts)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.evaluate(choose("org", "generated-acme"))
        assert {row[0] for row in await page.evaluate(table(0))} == {"generated-acme"}
        # Latency is of no organisation: it stays as it is.
        assert len(await page.evaluate(table(2))) == len(demo_traffic.KINDS)
        assert page.errors == [] and set(page.requested) == {path.as_uri()}


def totals(part: dict[str, Any]) -> tuple[int, int]:
    """Requests, and pico-units of money, of all rows."""
    requests, cost = part["columns"].index("requests"), part["columns"].index("cost")
    pico = sum(int(row[cost].replace(".", "")) for row in part["rows"] if row[cost] is not None)
    return sum(row[requests] for row in part["rows"]), pico


def test_a_name_of_a_tenant_cannot_become_markup_of_the_page() -> None:
    from slipway.metering.reports.page import page

    made = page("</title><script>1</script>", MADE, [{"names": {"org": ["</script><img src=x>"]}}])
    assert made.count("</script>") == 3 and "<img" not in made and "<script>1" not in made
