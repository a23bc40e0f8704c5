"""What aiperf, a load client of others, reports of a thousand streams is what the warehouse says of them.

`make test-load`: the client takes 6 GB. The engine is real: llama.cpp with the demo's model. Ten minutes.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.metering.asking import Question, ask
from slipway.metering.periods import Period
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.records.routes import Route
from slipway.records.usage import hour_of
from testbed import load

from .conftest import RunningGateway

REQUESTS = int(os.environ.get("SLIPWAY_LOAD_REQUESTS") or 1_000)
LONGEST_S = 1_500
HOUR = timedelta(hours=1)
pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SLIPWAY_LOAD_CLIENTS"), reason="`make test-load`: 6 GB of clients"
    ),
    pytest.mark.timeout(LONGEST_S + 300),
]


def test_aiperf_and_the_warehouse_say_the_same_of_a_thousand_streams(
    own_gateway: RunningGateway, engine: str, tmp_path: Path, route: Callable[..., Route]
) -> None:
    gateway = own_gateway
    gateway.start()
    gateway.route(route("assistant", f"{engine}/v1"))
    began = hour_of(datetime.now(UTC))
    told = load.aiperf_streams(
        gateway.url, gateway.secrets["acme"], "assistant", tmp_path / "aiperf",
        requests=REQUESTS, timeout_s=LONGEST_S,
    )  # fmt: skip
    assert (told.ran.answered, told.ran.failed) == (REQUESTS, 0), told.ran.said
    gateway.ship()
    period = Period(began, hour_of(datetime.now(UTC)) + HOUR)
    copy = rolled_up(gateway, tmp_path / "warehouse", period)

    (used,) = answered(copy, "usage", Question(period))
    assert used["requests"] == used["successes"] == REQUESTS
    assert used["input_uncached"] + used["input_cached"] == told.input_tokens
    assert used["output"] == told.output_tokens

    of_metrics = answered(copy, "latency", Question(period, per=("deployment",)))
    latency = {row["metric"]: row for row in of_metrics}
    assert latency["ttft"]["count"] == REQUESTS
    for metric, reported in (("ttft", told.ttft_ms), ("itl", told.itl_ms)):
        for name, seen_ms in reported.items():
            print(
                f"{metric} {name}: aiperf {seen_ms:.2f} ms, warehouse {latency[metric][f'{name}_ms']:.2f} ms"
            )
    for metric, reported in (("ttft", told.ttft_ms), ("itl", told.itl_ms)):
        for name, seen_ms in reported.items():
            assert latency[metric][f"{name}_ms"] == pytest.approx(seen_ms, rel=0.05), (metric, name)


def answered(copy: PublishedCopy, query: str, question: Question) -> list[dict[str, Any]]:
    answer = ask(copy, query, question)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def rolled_up(gateway: RunningGateway, directory: Path, period: Period) -> PublishedCopy:
    warehouse = Warehouse(directory)
    sync_prices(gateway.store, warehouse, (), now=period.start)
    hours = [period.start + n * HOUR for n in range((period.end - period.start) // HOUR)]
    roll_up(gateway.store, warehouse, hours, run_id="load", now=datetime.now(UTC))
    publish_copy(warehouse)
    return PublishedCopy(directory)
