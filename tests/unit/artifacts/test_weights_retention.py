"""What is kept, what waits and what goes: each state of a commit in the store is a row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.artifacts.weights.claims import Lease
from slipway.artifacts.weights.inventory import Inventory, Stored
from slipway.artifacts.weights.retention import dead_leases, dead_uploads, decide
from slipway.artifacts.weights.uses import Uses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(days=1)
LONG_AGO = NOW - timedelta(days=30)
RECENT = NOW - timedelta(hours=1)
OLD, NEW = "a" * 40, "b" * 40
NOBODY = Uses({})


def stored(commit: str = OLD, **fields: object) -> Stored:
    """Published a month ago, with 100 bytes in one file, unless `fields` say otherwise."""
    plain = Stored("m", commit, published_at=LONG_AGO, touched_at=LONG_AGO, files=1, size_bytes=100)
    return replace(plain, **fields)  # type: ignore[arg-type]


def lease(written_at: datetime, hold_s: float = 3600, commit: str = OLD, key: str = "leases/one") -> Lease:
    return Lease(key, f"weights/m/{commit}/", "a pull of m", hold_s, written_at)


def fate(item: Stored, uses: Uses = NOBODY, grace: timedelta = GRACE, *others: Stored) -> tuple[str, str]:
    found = Inventory(NOW, (item, *others), item.leases)
    first = decide(found, uses, grace)[0]
    return first.action, first.reason


def test_what_the_catalog_or_a_revision_names_is_kept_however_old_and_the_reason_says_who() -> None:
    named = Uses({("m", OLD): ("catalog", "revision chat 1a2b3c4d")})
    assert fate(stored(unused_since=LONG_AGO), named) == (
        "keep",
        "needed by catalog, revision chat 1a2b3c4d",
    )


@pytest.mark.parametrize(
    ("item", "action"),
    [
        (stored(), "wait"),  # the first collection that sees so only notes it
        (stored(unused_since=RECENT), "wait"),
        (stored(unused_since=NOW - GRACE), "remove"),
        (stored(unused_since=NOW - GRACE + timedelta(seconds=1)), "wait"),
        # Asked for after the note: grace counts from then.
        (stored(unused_since=LONG_AGO, leases=(lease(RECENT, hold_s=1),)), "wait"),
        (stored(unused_since=LONG_AGO, published_at=RECENT), "wait"),
    ],
)
def test_published_weights_go_a_time_of_grace_after_a_collection_first_saw_that_nobody_names_them(
    item: Stored, action: str
) -> None:
    assert fate(item)[0] == action


def test_without_grace_what_nobody_names_goes_at_once() -> None:
    assert fate(stored(published_at=NOW, touched_at=NOW), grace=timedelta(0))[0] == "remove"


def test_a_live_lease_is_a_use_and_an_ended_one_is_not() -> None:
    item = stored(unused_since=LONG_AGO)
    alive, ended = lease(RECENT, hold_s=3601), lease(LONG_AGO, hold_s=3600)
    assert fate(replace(item, leases=(alive,))) == ("keep", "needed by a pull of m")
    assert fate(replace(item, leases=(ended,)))[0] == "remove"


def test_what_was_never_published_goes_when_nothing_was_written_for_the_time_of_grace() -> None:
    interrupted = stored(published_at=None)
    assert fate(interrupted)[0] == "remove"
    assert fate(replace(interrupted, touched_at=RECENT))[0] == "wait"
    # The catalog wants it: the next pull goes on with what is there.
    assert fate(interrupted, Uses({("m", OLD): ("catalog",)}))[0] == "keep"


def test_of_a_source_that_moves_the_commit_that_was_pulled_last_is_kept() -> None:
    moving = Uses({}, frozenset({"m"}))
    noted = {"unused_since": LONG_AGO}
    first, second = stored(OLD, **noted), stored(NEW, published_at=LONG_AGO + GRACE, **noted)
    found = decide(Inventory(NOW, (first, second), ()), moving, GRACE)
    assert [each.action for each in found] == ["remove", "keep"]
    # The branch was moved back: the older commit was asked for again, later than the newer was published.
    back = replace(first, leases=(lease(NOW - timedelta(days=2)),))
    found = decide(Inventory(NOW, (back, second), back.leases), moving, GRACE)
    assert [each.action for each in found] == ["keep", "remove"]


def test_ended_leases_are_tidied_up_but_the_last_of_each_commit_tells_when_it_was_asked_for() -> None:
    last, earlier = lease(LONG_AGO + GRACE, key="last"), lease(LONG_AGO, key="earlier")
    absent = lease(LONG_AGO, commit=NEW, key="of absent weights")
    alive = lease(RECENT, hold_s=7200, commit=NEW, key="alive")
    item = stored(leases=(last, earlier))
    found = Inventory(NOW, (item,), (alive, last, earlier, absent))
    assert dead_leases(found) == ("earlier", "of absent weights")


def test_an_upload_is_dead_when_it_began_a_time_of_grace_ago_and_nobody_is_at_it() -> None:
    old = stored(published_at=None, oldest_upload_at=LONG_AGO)
    recent = stored(published_at=None, oldest_upload_at=RECENT)
    claimed = replace(old, leases=(lease(RECENT, hold_s=7200),))
    assert dead_uploads(Inventory(NOW, (old, recent, claimed), ()), GRACE) == (old,)
