import hashlib

import pytest

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import check_pin, commit_of


def test_a_commit_is_the_digest_of_the_sorted_rows() -> None:
    lines = '["a",3,"x"]\n["b/c",5,"y"]\n'
    assert commit_of([("b/c", 5, "y"), ("a", 3, "x")]) == hashlib.sha256(lines.encode()).hexdigest()


def test_rows_that_only_look_alike_give_other_commits() -> None:
    rows = [[("a", 1, "x")], [("a", 1, "y")], [("a", 2, "x")], [("b", 1, "x")], [("a,1", 1, "x")], []]
    assert len({commit_of(each) for each in rows}) == len(rows)


def test_a_pin_that_fits_or_none_passes_and_another_is_refused_with_both() -> None:
    check_pin("s3://bucket/p", None, "b" * 64)
    check_pin("s3://bucket/p", "b" * 64, "b" * 64)
    with pytest.raises(SourceError, match=f"@{'a' * 64}: the source has moved on: it is {'b' * 64} now"):
        check_pin("s3://bucket/p", "a" * 64, "b" * 64)
