"""The demo's page: readable on a phone, in the dark, and in the words of whoever counts."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from slipway.stack.demo.claims import Claim
from slipway.stack.demo.report import bars, counted, page

DOCUMENT = {
    "model": {"source": "hf://o/<m>", "bytes": 1_500_000, "files": 1, "commit": "0" * 40},
    "tenants": [
        {
            "org": "acme",
            "requests": 125,
            "cost": "0.1",
            "currency": "USD",
            "billed": {"input_uncached": 3, "input_cached": 1, "output": 1},
            "seen_by_client": {"input": 4, "cached": 1, "output": 1},
            "by_status": {"success": 124, "client_error": 1},
        }
    ],
    "prices": [],
    "seconds": {"weights": 1.5},
}
MADE = datetime(2026, 11, 30, 23, 5, tzinfo=UTC)
PAGE = page(DOCUMENT, [Claim("it is billed", True, "a < b")], [], MADE)
# Without the script and the style of all reports, which tests/services/metering/test_reports.py tries.
OWN = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", PAGE, flags=re.DOTALL)


def test_it_says_when_it_was_made() -> None:
    assert "2026-11-30 23:05 UTC" in PAGE


def test_what_is_counted_is_whole_and_one_is_one() -> None:
    assert "125 requests" in PAGE and "124 requests" in PAGE and "1 request<" in PAGE
    assert "1 file," in PAGE
    assert "125.0" not in OWN and "1 files" not in OWN and "1 requests" not in OWN
    assert "1.5 s<" in OWN


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_200, "1,200 files")]
)
def test_numbers_and_their_words(number: int, said: str) -> None:
    assert counted(number, "file") == said


def test_it_fits_a_phone_and_follows_the_reader_s_colours() -> None:
    assert '<meta name=viewport content="width=device-width, initial-scale=1">' in PAGE
    assert "color-scheme: light dark" in PAGE and "prefers-color-scheme: dark" in PAGE
    assert "svg { max-width: 100%; height: auto }" in PAGE and 'viewBox="0 0 ' in bars([("a", 1.0)], "ms")
    tables = OWN.count("<table>")
    assert tables > 1 and OWN.count("<div class=wide><table>") == tables, "wide tables scroll by themselves"


def test_it_needs_no_other_file_and_shows_names_as_they_are() -> None:
    links: list[str] = []

    class Finder(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(f"{tag} {name}" for name, _ in attrs if name in ("src", "href"))

    Finder().feed(PAGE)
    assert links == []
    assert "hf://o/&lt;m&gt;" in PAGE and "a &lt; b" in PAGE
