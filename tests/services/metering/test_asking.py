"""`slipway usage`, `cost` and `latency` against a warehouse that was rolled up and published."""

import csv
import io
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from slipway.commands import main as commands
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.rollup import roll_up

from .conftest import HOUR, JANUARY, NOW

Run = Callable[..., tuple[int, str, str]]
DAY = "2026-03-10"


@pytest.fixture
def slipway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `slipway ...` in a home whose warehouse is the test's: its exit code, and what it printed."""
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["slipway", *words])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def metered(store, warehouse, ship, new_event, schedule) -> None:
    """Two orgs on one deployment, and an unpriced one; the price is odd in its last place."""
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 123_457, 3, 987_654_321))], now=JANUARY)
    ship(
        HOUR,
        [
            new_event(),
            new_event(org="globex", api_key="key-2", user="gus"),
            new_event(deployment="code", model="code"),
        ],
    )
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    publish_copy(warehouse)


# 100 input tokens of which 20 cached, 11 output, as the fixture's event has them.
EACH = Decimal(80 * 123_457 + 20 * 3 + 11 * 987_654_321).scaleb(-12)


def test_cost_is_exact_in_json_and_says_until_when_it_is_complete(slipway: Run, metered: None) -> None:
    code, out, _ = slipway("cost", "--period", DAY, "-o", "json")
    told = json.loads(out)
    assert code == 0
    assert (told["complete_until"], told["complete"]) == ("2026-03-10T10:00:00Z", False)
    costs = {(row["org"], row["deployment"]): (row["currency"], row["cost"]) for row in told["rows"]}
    priced = ("USD", format(EACH, "f"))
    assert costs == {("acme", "chat"): priced, ("globex", "chat"): priced, ("acme", "code"): (None, None)}


def test_the_hour_itself_is_complete(slipway: Run, metered: None) -> None:
    _, out, _ = slipway("usage", "--period", f"{DAY}T09", "-o", "json")
    assert json.loads(out)["complete"] is True
    assert "Complete." in slipway("usage", "--period", f"{DAY}T09")[1]


def test_filters_and_groups_narrow_usage(slipway: Run, metered: None) -> None:
    code, out, err = slipway(
        "usage",
        "--period",
        DAY,
        "--org",
        "acme",
        "--deployment",
        "chat",
        "--by",
        "hour",
        "--per",
        "key",
        "-o",
        "csv",
    )
    assert (code, "Complete until 2026-03-10T10:00:00Z" in err) == (0, True)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["start"], row["key"], row["requests"]) == ("2026-03-10T09:00:00Z", "key-1", "1")
    assert (row["input_uncached"], row["input_cached"], row["output"]) == ("80", "20", "11")
    assert "org" not in row and "deployment" not in row


def test_latency_of_one_hour_is_exact(slipway: Run, metered: None) -> None:
    _, out, _ = slipway("latency", "--period", DAY, "--deployment", "chat", "-o", "json")
    rows = {row["metric"]: row for row in json.loads(out)["rows"]}
    assert (rows["ttft"]["count"], rows["ttft"]["p95_ms"], rows["ttft"]["max_ms"]) == (2, 50.0, 50.0)
    assert (rows["itl"]["p50_ms"], rows["duration"]["p99_ms"]) == (20.0, 250.0)
    assert all(row["is_exact"] for row in rows.values())
    assert rows["ttft"]["requests_per_s"] == pytest.approx(2 / 3600)


def test_latency_of_an_organisation_or_a_key_has_counts_means_and_maxima(slipway: Run, metered: None) -> None:
    _, out, _ = slipway("latency", "--period", DAY, "--org", "globex", "--key", "key-2", "-o", "json")
    rows = json.loads(out)["rows"]
    assert [(row["org"], row["key"], row["deployment"], row["metric"]) for row in rows] == [
        ("globex", "key-2", "chat", metric) for metric in ("ttft", "itl", "duration")
    ]
    assert [(row["count"], row["mean_ms"], row["max_ms"]) for row in rows] == [
        (1, 50.0, 50.0),
        (1, 20.0, 20.0),
        (1, 250.0, 250.0),
    ]
    _, out, _ = slipway("latency", "--period", DAY, "--org", "acme", "--by", "hour", "-o", "csv")
    lines = list(csv.DictReader(io.StringIO(out)))
    assert len(lines) == 6 and {line["start"] for line in lines} == {
        "2026-03-10T09:00:00Z"
    }  # of two deployments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--deployment", "chatt"), "--deployment chatt: nothing of it was ever metered; near it: chat"),
        (("--org", "nobody"), "--org nobody: nothing of it was ever metered; there is: acme, globex"),
        (("--key", "key-9"), "--key key-9: nothing of it was ever metered; near it: key-"),
        (("--period", "yesterday"), "--period: yesterday: no period. Write one such as 2026-10"),
    ],
)
def test_a_wrong_filter_is_named_and_is_wrong_usage(
    slipway: Run, metered: None, words: tuple[str, str], said: str
) -> None:
    code, out, err = slipway("usage", *words)
    assert (code, out) == (2, "")
    assert said in err


def test_without_a_published_copy_it_says_what_to_do(slipway: Run) -> None:
    code, _, err = slipway("cost")
    assert code == 1
    assert "published.duckdb: cannot be read, it is not there. Roll up an hour" in err


def test_a_report_is_written_as_a_whole(slipway: Run, metered: None, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    code, said, _ = slipway("report", "usage", "--period", DAY, "--out", str(out))
    assert code == 0 and str(out) in said
    assert format(EACH, "f") in out.read_text()
    assert sorted(path.name for path in tmp_path.glob("report*")) == ["report.html"]
    assert slipway("report", "latency", "--org", "acme")[0] == 2
