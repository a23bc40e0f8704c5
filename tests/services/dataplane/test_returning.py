"""Going back by hand, with records in a real store."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.control import returning, rollout
from slipway.control.routing import to_route
from slipway.dataplane.errors import DataPlaneError, NotServingError, RolloutFailedError
from slipway.dataplane.protocol import LiveApplication, Report
from slipway.dataplane.validation.validation import CheckResult
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision, RevisionStore

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PASSED = [CheckResult("completion", True, {}, "Paris")]
FAILED = [CheckResult("completion", False, {}, "The completion is empty.")]


@dataclass
class FakePlane:
    """Stands for a data plane: notes what was brought back; `broken` serves nothing."""

    brought: list[str] = field(default_factory=list)
    broken: bool = False

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        if self.broken:
            raise NotServingError("chat does not serve", cause="no GPU")
        self.brought.append(good.spec_digest)

    def render(self, resolved: ResolvedDeployment) -> Applied:
        return Applied("chat", "chat", resolved.spec_digest, {})

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        return ()


def spec(number: int) -> ResolvedDeployment:
    """One spec after the other."""
    return ResolvedDeployment(
        deployment=Deployment(name="chat", model="m", runtime="ray", engine="e", env={"N": str(number)}),
        engine=Engine(name="e", server="llama.cpp"),
        model=ResolvedArtifact(name="m", source="file:///m", commit="1" * 40),
    )


@pytest.fixture
def kept(store: ObjectStore) -> RevisionStore:
    """The records of three revisions, all validated, the third one last."""
    found = RevisionStore(store)
    for number in range(3):
        at = NOON + timedelta(minutes=number)
        resolved = spec(number)
        applied = Applied(resolved.revision_name, "chat", resolved.spec_digest, {})
        found.put(revisions.validated(revisions.of(resolved, applied, "http://u/v1", at), (), at))
    return found


def back(plane: Any, kept: RevisionStore, to: str | None = None, results: Any = PASSED) -> Revision:
    """`slipway rollback chat`."""
    good = returning.chosen(kept.all("chat"), spec(2).spec_digest, to)
    return returning.return_to(plane, kept, good, lambda _: results, 5, lambda _: None)


def test_the_one_before_serves_has_the_route_and_the_newest_is_withdrawn(kept: RevisionStore) -> None:
    plane = FakePlane()
    assert back(plane, kept).spec_digest == spec(1).spec_digest
    assert plane.brought == [spec(1).spec_digest]
    states = {each.spec_digest: each.state for each in kept.all("chat")}
    assert [states[spec(n).spec_digest] for n in range(3)] == ["validated", "validated", "withdrawn"]
    everything = frozenset(states)
    chosen = to_route(kept.all("chat"), everything, spec(2).spec_digest)
    assert chosen is not None
    assert chosen.spec_digest == spec(1).spec_digest


def test_an_older_one_is_named_by_the_beginning_of_its_digest(kept: RevisionStore) -> None:
    assert back(FakePlane(), kept, spec(0).spec_digest[:6]).spec_digest == spec(0).spec_digest
    states = {each.spec_digest: each.state for each in kept.all("chat")}
    assert [states[spec(n).spec_digest] for n in range(3)] == ["validated", "withdrawn", "withdrawn"]


def test_a_withdrawn_spec_is_not_rolled_out_until_it_is_resumed(kept: RevisionStore) -> None:
    back(FakePlane(), kept)
    with pytest.raises(RolloutFailedError, match=r"taken back by hand at .*slipway resume chat"):
        rollout.roll_out(FakePlane(), kept, spec(2), lambda _: None)  # type: ignore[arg-type]
    assert returning.resume(kept, "chat") == (spec(2).spec_digest,)
    record = kept.get("chat", spec(2).spec_digest)
    assert record is not None
    assert record.state == "applied"


@pytest.mark.parametrize(
    ("plane", "results", "error"),
    [
        (lambda: FakePlane(broken=True), PASSED, NotServingError),
        (FakePlane, FAILED, RolloutFailedError),
    ],
)
def test_one_that_does_not_come_back_changes_no_record(
    kept: RevisionStore, plane: Callable[[], FakePlane], results: Any, error: type[Exception]
) -> None:
    before = kept.all("chat")
    with pytest.raises(error):
        back(plane(), kept, results=results)
    assert kept.all("chat") == before


def test_without_an_earlier_one_there_is_nothing_to_go_back_to(kept: RevisionStore) -> None:
    for each in kept.all("chat"):
        if each.spec_digest != spec(2).spec_digest:
            kept.put(replace(each, state="failed"))
    with pytest.raises(DataPlaneError, match="Cannot go back: no earlier revision"):
        back(FakePlane(), kept)
    with pytest.raises(DataPlaneError) as refused:
        back(FakePlane(), kept, "ffff")
    assert str(refused.value) == (
        "Cannot go back: no kept revision begins with ffff. None but what serves is kept."
    )


def test_a_digest_that_fits_none_is_told_with_those_that_are_kept(kept: RevisionStore) -> None:
    with pytest.raises(DataPlaneError) as refused:
        back(FakePlane(), kept, "ffff")
    earlier = spec(1).spec_digest[:8]
    told = "Cannot go back: no kept revision begins with ffff. Give --to enough digits of one of "
    assert str(refused.value).startswith(told)
    assert earlier in str(refused.value)
