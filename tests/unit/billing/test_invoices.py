"""Invoices as values: rounding, totals, how they look, and what other systems import."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from slipway.billing import exports, rendering
from slipway.billing.invoicing import Correction, LineKey, Used, invoices
from slipway.billing.money import minor_digits, to_minor, written
from slipway.records.invoices import Invoice

AT = datetime(2026, 4, 1, 2, tzinfo=UTC)
KEY = LineKey("chat", "output", "standard@2026-01-01T00:00:00Z", 0, 7)


def used(cost: str, *, org: str = "acme", currency: str = "USD", key: LineKey = KEY) -> Used:
    return Used(org, currency, key, 10, Decimal(cost))


def correction(cost: str, before: str, *, number: int = 1, hour: int = 0) -> Correction:
    at = datetime(2026, 2, 1, hour, tzinfo=UTC)
    return Correction(
        "acme", "USD", KEY, "2026-02", at, number, 1, Decimal(cost), "late", "run", Decimal(before)
    )


@pytest.mark.parametrize(
    ("cost", "currency", "minor"),
    [
        ("0.125", "USD", 12), ("0.135", "USD", 14), ("0.125000000001", "USD", 13), ("-0.125", "USD", -12),
        ("2.5", "JPY", 2), ("3.5", "JPY", 4), ("0.0125", "KWD", 12), ("0.00005", "CLF", 0),
        ("12345678901234567890123456.785", "USD", 1234567890123456789012345678),
    ],
)  # fmt: skip
def test_a_cost_is_rounded_half_to_even_to_the_minor_unit(cost: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(cost), currency) == minor


def test_minor_units_are_those_of_iso_4217() -> None:
    digits = {"USD": 2, "JPY": 0, "BHD": 3, "CLF": 4, "HUF": 2, "IQD": 3, "ISK": 0}
    assert {currency: minor_digits(currency) for currency in digits} == digits
    assert (written(1205, 2), written(5, 0), written(-1, 3)) == ("12.05", "5", "-0.001")


def test_an_org_has_one_invoice_for_each_currency_and_its_total_is_the_sum_of_its_lines() -> None:
    other = LineKey("chat", "output", "standard@2026-01-01T00:00:00Z", 1, 3)
    made = invoices("2026-03", AT, [used("0.005"), used("0.015", key=other), used("7.5", currency="JPY")], ())
    assert [each.id for each in made] == ["2026-03-acme-JPY", "2026-03-acme-USD"]
    assert [(line.tier, line.amount_minor) for line in made[1].lines] == [(0, 0), (1, 2)]
    assert [each.total_minor for each in made] == [8, 2]


def test_adjustments_come_to_what_one_invoice_would_have_said() -> None:
    costs = [Decimal("0.004")] * 7
    before = Decimal("0.001")
    corrections = [correction("0.004", "0.001", hour=hour) for hour in range(7)]
    (made,) = invoices("2026-03", AT, (), corrections)
    assert made.total_minor == to_minor(sum(costs, before), "USD") - to_minor(before, "USD") == 3
    assert [line.hour.hour for line in made.lines if line.hour] == list(range(7))


def an_invoice(org: str = "acme") -> Invoice:
    corrections = [] if org != "acme" else [correction("-0.02", "5")]
    return invoices("2026-03", AT, [used("1.005", org=org)], corrections)[0]


def test_html_escapes_every_value_and_needs_nothing_from_elsewhere() -> None:
    page = rendering.as_html([an_invoice('<script>alert("1")</script>')])
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "http" not in page and "@media print" in page and "prefers-color-scheme: dark" in page
    assert "Adjustments of earlier months" in rendering.as_html([an_invoice()])


def test_people_read_quantities_and_prices_as_the_catalog_states_them() -> None:
    sound = LineKey("whisper", "input_audio_ms", "v", 0, 100_000)
    lines = [
        Used("acme", "USD", KEY, 1_234_567, Decimal("1234567.5")),
        Used("acme", "USD", sound, 61_500, Decimal("0.01")),
    ]
    for page in (rendering.as_html, rendering.as_text):
        said = page(invoices("2026-03", AT, lines, ()))
        for words in (
            "1,234,567", "output tokens", "0.000007 per 1M", "1,234,567.50",
            "61.500", "seconds of audio in", "0.006 per minute",
        ):  # fmt: skip
            assert words in said


def test_a_draft_says_that_it_is_one() -> None:
    (draft,) = invoices("2026-03", None, [used("1")], ())
    assert draft.id.startswith("draft-") and draft.plain()["draft"]
    assert "Draft: 2026-03 is not closed" in rendering.as_html([draft])
    assert "DRAFT" in rendering.as_text([draft])


def test_csv_and_json_carry_exact_costs_and_no_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(rendering.as_csv([an_invoice("=cmd()")]))))
    assert rows[0]["org"] == "'=cmd()" and rows[0]["cost"] == "1.005" and rows[0]["amount"] == "1.00"
    (plain,) = json.loads(rendering.as_json([an_invoice()]))
    assert plain["lines"][0]["cost"] == "1.005" and plain["total_minor"] == 98


def test_stripe_takes_the_amounts_and_lago_the_quantities() -> None:
    invoice = an_invoice()
    items = exports.stripe_invoice_items([invoice])
    assert sum(item["amount"] for item in items) == invoice.total_minor
    assert {item["currency"] for item in items} == {"usd"}
    assert items[1]["period"]["start"] == int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
    (event,) = exports.stripe_meter_events([invoice])
    assert event["payload"]["value"] == "10" and len(event["identifier"]) <= 100
    (batch,) = exports.lago_event_batches([invoice])
    assert [each["transaction_id"] for each in batch["events"]] == [
        "2026-03-acme-USD-1",
        "2026-03-acme-USD-2",
    ]
    many = [an_invoice()] * 101
    assert [len(each["events"]) for each in exports.lago_event_batches(many)] == [100, 100, 2]
