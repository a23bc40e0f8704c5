"""Promises of the whole stack, on one running stack; the tests build on each other's state in file order."""

import gzip
import json
import shutil
import signal
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from assets import groups
from slipway.catalog import Catalog
from slipway.catalog.files.loader import load
from slipway.control.plans import deployed_changes
from slipway.metering import price_table, prices, publish, queries, rollup
from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import Warehouse
from slipway.records import usage
from slipway.stack import supervisor
from slipway.stack.demo import edits
from slipway.stack.demo.traffic import Seen, steady_flow, until

from .conftest import PATIENCE_S, RunningStack

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)

CHAT = "chat"
HOURLY = [
    ["usage", "requests"],
    ["metering", "latency_hourly"],
    ["metering", "usage_hourly"],
    ["metering", "cost_hourly"],
]


def test_the_ui_lists_every_asset_with_its_materialization_and_checks(stack: RunningStack) -> None:
    catalog = load(stack.catalog).catalog
    until(
        lambda: _all_deployed(stack.dagster.asset_states(), catalog), "every asset of the catalog", PATIENCE_S
    )
    checks = stack.dagster.asset_states()["endpoint/chat"]["checks"]
    assert checks == dict.fromkeys(checks, "SUCCEEDED")
    assert len(checks) == 6


def _all_deployed(states: dict[str, Any], catalog: Catalog) -> bool:
    """Whether all that deploying makes is there; the rest is made by the clock, or by a person."""
    deployed = groups.build([each for each in groups.GROUPS if each.job == groups.DEPLOY], catalog)
    names = {key.to_user_string() for asset in deployed for key in asset.keys}
    return len(names) > 0 and all(states[name]["materialized"] for name in names)


def test_a_plan_is_empty_when_all_is_deployed_and_names_the_fields_of_an_edit(
    stack: RunningStack, tmp_path: Path
) -> None:
    assert deployed_changes(load(stack.catalog).catalog, stack.environment) == []
    edited = Path(shutil.copytree(stack.catalog, tmp_path / "catalog"))
    edits.set_args(edited, CHAT, "--ctx-size=2048", "--ctx-size=4096")
    edits.new_price(edited, datetime.now(UTC))
    changes = deployed_changes(load(edited).catalog, stack.environment)
    assert [(each.action, each.kind) for each in changes] == [
        ("update", "Deployment"),
        *(each for _ in ("assistant", CHAT) for each in [("update", "Price"), ("create", "Price")]),
    ]
    assert [(field.field, field.after) for field in changes[0].fields] == [
        ("deployment.args", ["--ctx-size=4096", "--parallel=2"])
    ]


def test_an_edit_on_disk_is_redeployed_by_itself_and_no_request_fails(stack: RunningStack) -> None:
    acme, before = stack.client("acme"), stack.routed()[CHAT]
    with steady_flow(acme, (CHAT,)) as flow:
        edits.set_args(stack.catalog, CHAT, "--ctx-size=2048", "--ctx-size=3072")
        until(lambda: stack.routed()[CHAT] != before, "the redeploy", PATIENCE_S)
        until(lambda: len(flow) > 3, "some requests", PATIENCE_S)
    assert [seen for seen in flow if seen.status != 200] == []


def test_limits_and_sharing_change_without_a_redeploy(stack: RunningStack) -> None:
    globex, before = stack.client("globex"), stack.routed()[CHAT]
    assert globex.chat(CHAT, "Hello", stream=False, max_tokens=2).status == 404
    path = stack.catalog / "deployments.yaml"
    path.write_text(path.read_text().replace("sharing: [acme]\n", "sharing: [acme, globex]\n"))
    until(
        lambda: globex.chat(CHAT, "Hello", stream=False, max_tokens=2).status == 200,
        "the sharing",
        PATIENCE_S,
    )
    assert stack.routed()[CHAT] == before


@pytest.mark.parametrize("victims", [("gateway",), ("s3",), ("ray", "daemon")], ids="+".join)
def test_after_kill_9_under_traffic_everything_works_again(
    stack: RunningStack, victims: tuple[str, ...], acknowledged: list[Seen]
) -> None:
    acme = stack.client("acme")
    with steady_flow(acme, (CHAT,)) as flow:
        until(lambda: len(flow) > 1, "traffic", PATIENCE_S)
        for victim in victims:
            _kill(stack.home, victim)
        until(lambda: not _all_ready(stack), "the loss to be seen", PATIENCE_S)
        stack.up()
        count = len(flow)
        until(
            lambda: any(seen.status == 200 for seen in flow[count:]),
            "an answer after the restart",
            PATIENCE_S,
        )
    until(lambda: _all_ready(stack), "every server", PATIENCE_S)
    acknowledged += [seen for seen in acme.seen if seen.status == 200]


def _all_ready(stack: RunningStack) -> bool:
    return all(each.state.value == "ready" for each in supervisor.status(stack.home))


@pytest.fixture(scope="module")
def acknowledged() -> list[Seen]:
    """Every request of the kill tests that a client has an answer to."""
    return []


def test_every_acknowledged_request_is_billed_exactly_once(
    stack: RunningStack, acknowledged: list[Seen]
) -> None:
    """The killed stack's usage objects against what clients hold: nothing lost, nothing doubled."""
    assert len(acknowledged) > 6
    _ship(stack)
    first = min(seen.at for seen in acknowledged).replace(minute=0, second=0, microsecond=0)
    hours = [first, first + timedelta(hours=1)]
    _roll_up(stack, first, min(hours[1], datetime.now(UTC)))
    events = [event for hour in hours for event in _events(stack, hour) if event["status"] == "success"]
    assert len({event["request_id"] for event in events}) == len(events)
    by_tokens = sorted((event["input_tokens"], event["output_tokens"]) for event in events)
    for seen in acknowledged:
        by_tokens.remove((seen.input, seen.output))  # ValueError: an acknowledged request was not billed
    assert _billed_outputs(stack, hours) == sum(event["output_tokens"] for event in _billable(stack, hours))


def test_a_backfill_of_48_hours_is_one_run_with_the_rows_of_48_single_ones(
    stack: RunningStack, tmp_path: Path
) -> None:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=n) for n in range(48, 0, -1)]
    for hour in hours:
        _write_usage(stack, hour)
    assert len(_backfill(stack, hours)) == 1
    single = Warehouse(tmp_path / "single")
    schedules = prices.schedules(load(stack.catalog).catalog)
    price_table.sync_prices(stack.store, single, schedules, now=datetime.now(UTC))
    for hour in hours:
        rollup.roll_up(stack.store, single, [hour], run_id="single", now=datetime.now(UTC))
    publish.publish_copy(single)
    one_by_one = PublishedCopy(single.directory)
    at_once = PublishedCopy(stack.environment.warehouse_dir)
    for table in ("deployment_hourly", "latency_hist_hourly", "usage_hourly"):
        rows = _rows(one_by_one, table, hours)
        assert len({row[0] for row in rows}) == len(hours)
        assert _rows(at_once, table, hours) == rows


def _uuid7(at: datetime, n: int) -> str:
    """RFC 9562: 48 bits of Unix milliseconds, version 7, variant 10; the rest is `n`."""
    return str(uuid.UUID(int=round(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | n))


def _write_usage(stack: RunningStack, hour: datetime) -> None:
    """A few streamed requests in an hour of the past, as a gateway would have written them."""
    lines = b""
    for n in range(5):
        at = hour + timedelta(minutes=10 * n)
        request_id = _uuid7(at, n)
        lines += usage.UsageEvent(
            request_id=request_id,
            ts=at.isoformat(),
            org="acme",
            user="past",
            api_key="key_past",
            model=CHAT,
            deployment=CHAT,
            replica="gateway-0",
            task="text-generation",
            stream=True,
            input_tokens=20 + n,
            cached_tokens=n,
            output_tokens=7,
            status="success",
            error_type=None,
            ttft_us=90_000 + hour.hour * 1_000 + n,
            duration_us=400_000,
            max_gap_us=60_000,
            cold_start=False,
            attempt=1,
        ).encode()
    stack.store.put(usage.object_key(hour, "past", "0"), gzip.compress(lines))


def _kill(home: Path, victim: str) -> None:
    """kill -9 of a service's processes, found by what they run."""
    marks = {
        "gateway": "slipway.gateway",
        "s3": "mini",
        "daemon": "dagster._daemon",
        "ray": "gcs_server",
    }
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("SLIPWAY_STACK") == str(home)
            if mine and any(marks[victim] in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    assert found, f"no process of {victim}"
    for process in found:
        process.send_signal(signal.SIGKILL)


def _ship(stack: RunningStack) -> None:
    token = stack.environment.gateway_token
    request = urllib.request.Request(
        f"{stack.environment.gateway_urls[0]}/-/ship",
        data=b"",
        headers={"authorization": f"Bearer {token}"},
        method="POST",
    )
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()


def _roll_up(stack: RunningStack, first: datetime, last: datetime) -> None:
    tags = {
        "dagster/asset_partition_range_start": first.strftime("%Y-%m-%d-%H:00"),
        "dagster/asset_partition_range_end": last.strftime("%Y-%m-%d-%H:00"),
    }
    run_id = stack.dagster.launch("rollup", [tuple(path) for path in HOURLY], tags)
    assert stack.dagster.wait(run_id).status == "SUCCESS"


def _events(stack: RunningStack, hour: datetime) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for found in stack.store.list(usage.hour_prefix(hour)):
        body = stack.store.get(found.key) or b""
        lines += [json.loads(line) for line in gzip.decompress(body).splitlines()]
    return lines


def _billable(stack: RunningStack, hours: list[datetime]) -> list[dict[str, Any]]:
    unique = {event["request_id"]: event for hour in hours for event in _events(stack, hour)}
    return list(unique.values())


def _billed_outputs(stack: RunningStack, hours: list[datetime]) -> int:
    copy = PublishedCopy(stack.environment.warehouse_dir)
    return sum(bill.output for bill in queries.bills(copy, hours[0], hours[-1] + timedelta(hours=1)))


def _backfill(stack: RunningStack, hours: list[datetime]) -> list[str]:
    """Launch a backfill as the UI does; returns the ids of its runs when they have succeeded."""
    now = datetime.now(UTC)
    names = [hour.strftime("%Y-%m-%d-%H:%M") for hour in hours if hour <= now]
    backfill_id = stack.dagster.backfill(HOURLY, names)
    runs = until(lambda: _finished_runs(stack, backfill_id), "the backfill", PATIENCE_S)
    assert {run.status for run in runs} == {"SUCCESS"}
    return [run.id for run in runs]


def _finished_runs(stack: RunningStack, backfill_id: str) -> list[Any]:
    if not stack.dagster.backfill_finished(backfill_id):
        return []
    return [run for run in stack.dagster.runs() if run.tags.get("dagster/backfill") == backfill_id]


def _rows(copy: PublishedCopy, table: str, hours: list[datetime]) -> list[Any]:
    with copy.reading() as connection:
        columns = [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall() if row[0] != "run_id"]
        return connection.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE hour BETWEEN ? AND ? ORDER BY ALL",
            [hours[0], hours[-1]],
        ).fetchall()
