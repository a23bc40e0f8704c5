from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.control.routing import to_route
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision, decode, last_good, to_keep

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(minute: int, digest: str) -> Revision:
    """A revision applied at that minute past noon."""
    resolved = ResolvedDeployment(
        deployment=Deployment(
            name="chat",
            model="m",
            adapters=("a",),
            runtime="ray",
            engine="e",
            resources={"gpu": {"class": "l4"}},
        ),
        engine=Engine(name="e", server="llama.cpp"),
        model=ResolvedArtifact(name="m", source="file:///m", commit="1" * 40),
        adapters=(ResolvedArtifact(name="a", source="file:///a", commit="1" * 40),),
    )
    applied = Applied("chat-1", "chat", resolved.spec_digest, {"name": "chat-1"})
    made = revisions.of(resolved, applied, "http://upstream/chat-1/v1", NOON + timedelta(minutes=minute))
    return replace(made, spec_digest=digest)


def good(minute: int, digest: str) -> Revision:
    return revisions.validated(
        at(minute, digest), ({"name": "stream"},), NOON + timedelta(minutes=minute, seconds=9)
    )


def bad(minute: int, digest: str) -> Revision:
    return revisions.failed(at(minute, digest), "why", NOON + timedelta(minutes=minute, seconds=9))


def test_a_record_comes_back_as_it_was_and_its_spec_can_be_read_again() -> None:
    record = good(0, "d" * 64)
    assert decode(record.encode()) == record
    assert ResolvedDeployment.model_validate(record.spec).deployment.resources.gpu.gpu_class == "l4"
    assert record.served_names == ("chat", "a")


def test_the_last_good_revision_is_the_one_validated_last_and_never_one_that_failed_since() -> None:
    again = revisions.failed(good(5, "e"), "later found bad", NOON + timedelta(hours=1))
    records = [good(1, "a"), good(3, "b"), bad(4, "c"), at(6, "d"), again]
    assert (last_good(records) or at(0, "")).spec_digest == "b"
    assert (last_good(records, other_than="b") or at(0, "")).spec_digest == "a"
    assert last_good([bad(1, "a"), at(2, "b")]) is None


def test_validating_a_revision_that_failed_before_clears_what_was_wrong() -> None:
    record = revisions.validated(bad(1, "a"), (), NOON)
    assert (record.state, record.cause, record.failed_at) == ("validated", None, None)


def test_kept_for_rolling_back_are_the_last_validated_and_whatever_was_applied_last() -> None:
    records = [good(1, "a"), good(2, "b"), good(3, "c"), bad(4, "d"), at(5, "e")]
    assert to_keep(records, 2) == {"b", "c", "e"}
    assert to_keep([], 2) == frozenset()


@pytest.mark.parametrize(
    ("records", "live", "routed", "expected"),
    [
        ([good(1, "old"), good(2, "new")], {"old", "new"}, "old", "new"),
        ([good(1, "old"), at(2, "new")], {"old", "new"}, "old", "old"),
        ([good(1, "old"), bad(2, "new")], {"old"}, "old", "old"),
        # The cluster was lost and comes back: what is routed is there again, but not validated yet.
        ([good(1, "older"), at(2, "routed")], {"routed"}, "routed", "routed"),
        ([good(1, "older"), good(2, "routed")], set(), "routed", "routed"),
        ([good(1, "older"), bad(2, "routed")], set(), "routed", "older"),
        ([at(1, "first")], {"first"}, None, None),
        ([], set(), None, None),
    ],
)
def test_tenants_reach_the_last_validated_revision_that_is_there(
    records: list[Revision], live: set[str], routed: str | None, expected: str | None
) -> None:
    chosen = to_route(records, frozenset(live), routed)
    assert (chosen.spec_digest if chosen else None) == expected
