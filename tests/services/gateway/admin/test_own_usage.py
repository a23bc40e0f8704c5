"""From a request through a real rollup to what the SDK reads: usage and costs of one's own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import openai
import pytest

from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.records.price_history import PriceRow
from slipway.records.usage import event_time, hour_of

HI = [{"role": "user", "content": "hi"}]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def bill(administered, tmp_path) -> list[dict]:
    """Ship, rate and publish what the test used, as if the running hour were over; its events."""
    gateway = administered.gateway
    events = gateway.events()
    hours = sorted({hour_of(event_time(event["request_id"])) for event in events})
    warehouse = Warehouse(tmp_path / "warehouse")
    row = PriceRow("chat", None, LONG_AGO, None, "standard", 1_234_567, 89, 7_654_321, "USD", "engine-output")
    sync_prices(gateway.store, warehouse, [PriceSchedule("chat", "standard", (row,))], now=LONG_AGO)
    roll_up(gateway.store, warehouse, hours, run_id="r", now=hours[-1] + timedelta(hours=1))
    publish(warehouse, gateway.store, hours)
    return events


def test_a_key_made_with_the_sdk_is_used_and_its_usage_and_costs_are_read(
    administered, organization, fake, route, eventually, tmp_path
):
    gateway = administered.gateway
    gateway.route(route("chat", fake.url))
    began = int(datetime.now(UTC).timestamp())
    project = organization.projects.create(name="billed")
    account = organization.projects.service_accounts.create(project.id, name="bot")
    options = {**administered.options("acme"), "api_key": account.api_key.value}
    client = openai.OpenAI(**options)
    eventually(lambda: gateway.raw("/v1/models", secret=account.api_key.value)[0] == 200)
    answers = [client.chat.completions.create(model="chat", messages=HI) for _ in range(3)]
    administered.own("another")
    gateway.client("another").chat.completions.create(model="chat", messages=HI)
    events = [event for event in bill(administered, tmp_path) if event["api_key"] == account.api_key.id]

    raw = organization.usage.with_raw_response.completions(
        start_time=began,
        bucket_width="1h",
        project_ids=[project.id],
        group_by=["project_id", "user_id", "api_key_id", "model"],
    )
    page = raw.parse()
    (result,) = [result for bucket in page.data for result in bucket.results]
    assert (result.project_id, result.user_id, result.api_key_id, result.model) == (
        project.id, account.id, account.api_key.id, "chat",
    )  # fmt: skip
    assert (result.num_model_requests, result.input_tokens, result.output_tokens) == (
        3,
        sum(answer.usage.prompt_tokens for answer in answers),
        sum(answer.usage.completion_tokens for answer in answers),
    )
    last_hour = hour_of(event_time(events[-1]["request_id"]))
    assert page.complete_until == int((last_hour + timedelta(hours=1)).timestamp())
    until = datetime.fromisoformat(raw.headers["x-slipway-complete-until"])
    assert until == last_hour + timedelta(hours=1)

    costs = organization.usage.costs(start_time=began, project_ids=[project.id], group_by=["line_item"])
    (line,) = [result for bucket in costs.data for result in bucket.results]
    pico = sum(
        (event["input_tokens"] - event["cached_tokens"]) * 1_234_567
        + event["cached_tokens"] * 89
        + event["output_tokens"] * 7_654_321
        for event in events
    )
    exact = Decimal(pico).scaleb(-12)
    assert (line.line_item, line.amount.currency, line.amount.value) == ("chat", "usd", float(exact))
    assert Decimal(line.amount.value_exact) == exact

    others = administered.client("another").admin.organization.usage
    everything = [result for bucket in others.completions(start_time=began).data for result in bucket.results]
    assert [result.num_model_requests for result in everything] == [1]
    for filtered in (
        {"project_ids": [project.id]}, {"api_key_ids": [account.api_key.id]}, {"user_ids": [account.id]},
    ):  # fmt: skip
        assert [bucket.results for bucket in others.completions(start_time=began, **filtered).data] == [[]]
        if "user_ids" not in filtered:
            assert [bucket.results for bucket in others.costs(start_time=began, **filtered).data] == [[]]


def test_what_cannot_be_asked_is_refused_with_the_reason(organization):
    with pytest.raises(openai.BadRequestError, match="kept by the hour") as refused:
        organization.usage.completions(start_time=1_700_000_000, bucket_width="1m")
    assert refused.value.param == "bucket_width"
    with pytest.raises(openai.BadRequestError, match="is not one of"):
        organization.usage.completions(start_time=1_700_000_000, group_by=["org"])
