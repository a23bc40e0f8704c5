import itertools

import pytest

from slipway.gateway.admin.usage.buckets import BadPageError, Bucket, page_of

DAY = 86_400
MIDNIGHT = 1_773_100_800  # 2026-03-10T00:00:00Z
HOUR = 3_600


def pages(start, end, width_s, limit):
    """All pages, as a client follows them."""
    found, cursor = [], None
    while True:
        page = page_of(start, end, width_s, limit, cursor)
        found.append(page.buckets)
        cursor = page.next_page
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 31])
@pytest.mark.parametrize(
    ("start", "end", "width_s"),
    [
        (MIDNIGHT, MIDNIGHT + 7 * DAY, DAY),
        (MIDNIGHT + 5 * HOUR, MIDNIGHT + 3 * DAY + 2 * HOUR, DAY),
        (MIDNIGHT + 59, MIDNIGHT + 60, HOUR),
        (MIDNIGHT + 1, MIDNIGHT + 4 * HOUR + 1, HOUR),
    ],
)
def test_the_pages_together_cover_each_hour_asked_for_exactly_once(start, end, width_s, limit):
    found = [bucket for page in pages(start, end, width_s, limit) for bucket in page]
    assert found[0].start == start - start % HOUR
    assert found[-1].end == -(-end // HOUR) * HOUR
    for earlier, later in itertools.pairwise(found):
        assert earlier.end == later.start
        assert later.start % width_s == 0
    assert all(0 < bucket.end - bucket.start <= width_s for bucket in found)


def test_a_page_has_at_most_the_limit_and_the_last_one_has_no_next():
    first = page_of(MIDNIGHT, MIDNIGHT + 3 * DAY, DAY, 2, None)
    assert first.buckets == (
        Bucket(MIDNIGHT, MIDNIGHT + DAY),
        Bucket(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY),
    )
    last = page_of(MIDNIGHT, MIDNIGHT + 3 * DAY, DAY, 2, first.next_page)
    assert last.buckets == (Bucket(MIDNIGHT + 2 * DAY, MIDNIGHT + 3 * DAY),)
    assert last.next_page is None


@pytest.mark.parametrize(
    "cursor",
    ["", "page_", "page_-5", "page_1e9", f"page_{MIDNIGHT}", f"page_{MIDNIGHT + 1}",
     f"page_{MIDNIGHT + 3 * DAY}", "page_" + "9" * 5000, "page_\u0663", "next"],
)  # fmt: skip
def test_a_cursor_that_is_of_no_page_of_the_question_is_refused(cursor):
    with pytest.raises(BadPageError):
        page_of(MIDNIGHT, MIDNIGHT + 3 * DAY, DAY, 2, cursor)
