from datetime import UTC, datetime, timedelta

from slipway.artifacts.transfer.parts import MIB, Cut
from slipway.artifacts.transfer.resume import Adopted, StoredPart, Unfinished, choose, older_than

CUT = Cut(size_bytes=12 * MIB, step_bytes=5 * MIB)  # 5, 5, 2
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, LAST = StoredPart(1, 5 * MIB, "a"), StoredPart(2, 5 * MIB, "b"), StoredPart(3, 2 * MIB, "c")


def upload(name: str, *parts: StoredPart, age_s: float = 0) -> Unfinished:
    return Unfinished("key", name, NOW - timedelta(seconds=age_s), parts)


def test_there_is_nothing_to_go_on_with_at_first() -> None:
    assert choose([], CUT) is None


def test_an_upload_without_parts_is_gone_on_with_rather_than_left_behind() -> None:
    assert choose([upload("one")], CUT) == Adopted("one", {})


def test_the_one_that_holds_most_is_gone_on_with_and_of_equals_the_newest() -> None:
    old, new, full = upload("old", FIRST, age_s=9), upload("new", LAST), upload("full", FIRST, LAST, age_s=99)
    assert choose([old, new], CUT) == Adopted("new", {3: "c"})
    assert choose([old, full, new], CUT) == Adopted("full", {1: "a", 3: "c"})


def test_an_upload_that_was_cut_in_another_way_is_not_touched() -> None:
    assert choose([upload("other", StoredPart(1, 8 * MIB, "a"))], CUT) is None
    assert choose([upload("longer", FIRST, SECOND, LAST, StoredPart(4, 2 * MIB, "d"))], CUT) is None


def test_an_upload_with_a_part_that_is_none_of_the_files_is_not_gone_on_with() -> None:
    """Ceph completes an upload with all the parts that it keeps, or not at all."""
    assert choose([upload("one", FIRST, StoredPart(10_000, 12, "x"))], CUT) is None


def test_a_part_that_was_sent_twice_counts_unless_it_differed() -> None:
    again, other = StoredPart(1, 5 * MIB, "a"), StoredPart(2, 5 * MIB, "damaged")
    assert choose([upload("one", FIRST, again, SECOND, other, LAST)], CUT) == Adopted("one", {1: "a", 3: "c"})


def test_only_uploads_from_before_the_instant_are_old() -> None:
    old, new = upload("old", age_s=61), upload("new", age_s=60)
    assert older_than([old, new], NOW - timedelta(seconds=60)) == [old]
