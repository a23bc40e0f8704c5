"""A rollout killed before any of its steps is completed or undone by the next; records in a real store."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.catalog import ResolvedDeployment
from slipway.control import rollout
from slipway.dataplane.errors import NotServingError, RolloutFailedError
from slipway.dataplane.protocol import Difference, LiveApplication, Progress, Report
from slipway.dataplane.validation.validation import CheckResult
from slipway.objectstore import ObjectStore
from slipway.records.revisions import Applied, Revision, RevisionStore
from slipway.runtimes.ray import render as renderer

from .conftest import RunLog, resolved

PASSED = CheckResult("stream", True, {"chunks": 3}, "3 chunks.")
SILENT = CheckResult("stream", False, {"chunks": 0}, "0 chunks.")


class KilledError(BaseException):
    """Stands for kill -9: nothing may catch it."""


class Life:
    """How many more steps the process lives; each step of the fakes costs one."""

    def __init__(self, steps: int = 10**9) -> None:
        self.steps = steps

    def step(self) -> None:
        if self.steps == 0:
            raise KilledError
        self.steps -= 1


class FakePlane:
    """A fake cluster that keeps what is applied; specs whose digest is in `bad` never serve."""

    def __init__(self) -> None:
        self.applied: dict[str, Applied] = {}
        self.bad: set[str] = set()
        self.life = Life()

    def render(self, spec: ResolvedDeployment) -> Applied:
        rendered = renderer.render(spec)
        return Applied(rendered["name"], spec.name, spec.spec_digest, rendered)

    def diff(self, wanted: Applied) -> Difference:
        same = self.applied.get(wanted.application) == wanted
        return Difference("none" if same else "create", wanted.application)

    def apply(self, wanted: Applied) -> None:
        self.life.step()
        self.applied[wanted.application] = wanted

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        self.life.step()
        assert self.applied[wanted.application] == wanted
        if wanted.spec_digest in self.bad:
            raise NotServingError(wanted.application, cause="made to fail")

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        return tuple(
            LiveApplication(
                each.application, each.deployment, each.spec_digest, self.endpoint(each), "RUNNING", "", 1, 1,
                each.spec_digest not in self.bad,
            )
            for each in self.applied.values()
            if deployment in (None, each.deployment)
        )  # fmt: skip

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        self.apply(good)
        self.wait(good, deadline_s, report)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        return applications  # as on Ray: none can be kept at zero

    def publish(self, wanted: Applied) -> None:
        """Nothing has a stable name here."""

    def delete(self, applications: frozenset[str], report: Report) -> None:
        self.life.step()
        self.applied = {name: each for name, each in self.applied.items() if name not in applications}

    def endpoint(self, wanted: Applied) -> str:
        return f"http://fake/{wanted.application}/v1"


class MortalRevisions(RevisionStore):
    """The real store of revisions, whose writes cost the process a step."""

    def __init__(self, store: ObjectStore, life: Life) -> None:
        super().__init__(store)
        self.life = life

    def put(self, revision: Revision) -> Revision:
        self.life.step()
        return super().put(revision)


STRATEGIES = ("blue-green", "in-place")


def spec(strategy: str, context: int, **rollout_fields: Any) -> ResolvedDeployment:
    return resolved("chat", args=(f"--ctx-size={context}",), rollout={"strategy": strategy, **rollout_fields})


def serve_a_good_one(plane: FakePlane, store: ObjectStore, strategy: str) -> ResolvedDeployment:
    good, revisions = spec(strategy, 1024), RevisionStore(store)
    revision = rollout.roll_out(plane, revisions, good, RunLog())
    rollout.record_validation(plane, revisions, revision, [PASSED], RunLog())
    return good


def run(plane: FakePlane, store: ObjectStore, wanted: ResolvedDeployment, steps: int) -> str:
    """Roll out in a process that lives that many steps; how it ended."""
    plane.life = Life(steps)
    try:
        rollout.roll_out(plane, MortalRevisions(store, plane.life), wanted, RunLog())
    except KilledError:
        return "killed"
    except RolloutFailedError:
        return "failed"
    return "done"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("ends", ["done", "failed"])
def test_killed_before_any_step_the_next_run_ends_as_if_nothing_had_happened(
    strategy: str, ends: str, store: ObjectStore
) -> None:
    killed_at = 0
    while True:
        plane = FakePlane()
        RevisionStore(store).forget("chat")
        good = serve_a_good_one(plane, store, strategy)
        wanted = spec(strategy, 2048)
        if ends == "failed":
            plane.bad = {wanted.spec_digest}
        first = run(plane, store, wanted, killed_at)
        if first == "killed":
            assert run(plane, store, wanted, 10**9) == ends
        record = RevisionStore(store).get("chat", wanted.spec_digest)
        assert record is not None
        serving = {each.spec_digest for each in plane.applied.values()}
        if ends == "done":
            assert record.state == "applied"
            assert serving == {wanted.spec_digest} | (
                {good.spec_digest} if strategy == "blue-green" else set()
            )
        else:
            assert (record.state, "made to fail" in (record.cause or "")) == ("failed", True)
            assert serving == {good.spec_digest}
        if first != "killed":
            assert killed_at >= 3  # apply, wait, record: each was the last once
            return
        killed_at += 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_revision_that_fails_validation_gives_way_to_the_last_good_one(
    strategy: str, store: ObjectStore
) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    good = serve_a_good_one(plane, store, strategy)
    revision = rollout.roll_out(plane, revisions, spec(strategy, 2048), RunLog())
    recorded = rollout.record_validation(plane, revisions, revision, [PASSED, SILENT], RunLog())
    assert (recorded.state, recorded.cause) == ("failed", "stream: 0 chunks.")
    assert {each.spec_digest for each in plane.applied.values()} == {good.spec_digest}
    assert (revisions.last_good("chat") or revision).spec_digest == good.spec_digest


def test_without_automatic_rollback_nothing_is_undone_and_the_message_says_so(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    wanted = spec("blue-green", 2048, automatic_rollback=False)
    plane.bad = {wanted.spec_digest}
    with pytest.raises(RolloutFailedError, match="automatic_rollback is off"):
        rollout.roll_out(plane, revisions, wanted, RunLog())
    assert set(plane.applied) == {wanted.revision_name}


def test_rolling_out_what_was_validated_keeps_it_validated(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    good = serve_a_good_one(plane, store, "blue-green")
    assert rollout.roll_out(plane, revisions, good, RunLog()).state == "validated"


def test_a_spec_that_comes_back_after_it_was_retired_must_be_validated_again(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    good = serve_a_good_one(plane, store, "blue-green")
    plane.delete(frozenset({good.revision_name}), RunLog())
    assert rollout.roll_out(plane, revisions, good, RunLog()).state == "applied"


def test_when_nothing_was_ever_good_the_message_says_that_nothing_serves(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    wanted = spec("blue-green", 2048)
    plane.bad = {wanted.spec_digest}
    with pytest.raises(RolloutFailedError, match=r"made to fail\n.*nothing serves"):
        rollout.roll_out(plane, revisions, wanted, RunLog())
    assert plane.applied == {}


def test_retiring_waits_for_requests_in_flight_but_not_for_ever(store: ObjectStore) -> None:
    plane, revisions, log = FakePlane(), RevisionStore(store), RunLog()
    good = serve_a_good_one(plane, store, "blue-green")
    newer = rollout.roll_out(plane, revisions, spec("blue-green", 2048), log)
    counts = iter([2, 1, 0])
    rollout.retire(plane, revisions, "chat", frozenset({newer.spec_digest}), lambda: next(counts), 60, log)
    assert set(plane.applied) == {newer.application}
    assert next(counts, None) is None  # it asked until none was left
    assert [line.message for line in log.lines] == ["2 requests in flight", "1 requests in flight"]

    rollout.roll_out(plane, revisions, good, log)
    removed = rollout.retire(plane, revisions, "chat", frozenset({newer.spec_digest}), lambda: 1, 0.1, log)
    assert removed == (good.revision_name,)
    assert log.lines[-1] == Progress(
        good.revision_name, "draining", 0, 0, "stopped after 0.1 s with 1 in flight"
    )


def test_retiring_keeps_as_many_records_as_asked_for(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    specs = [spec("blue-green", context) for context in (256, 512, 1024, 2048)]
    for each in specs:
        revision = rollout.roll_out(plane, revisions, each, RunLog())
        rollout.record_validation(plane, revisions, replace(revision), [PASSED], RunLog())
    keep = frozenset({specs[-1].spec_digest})
    rollout.retire(plane, revisions, "chat", keep, lambda: 0, 1, RunLog(), keep_revisions=2)
    assert {each.spec_digest for each in revisions.all("chat")} == {each.spec_digest for each in specs[-2:]}


def test_a_lost_good_revision_is_back_before_a_spec_that_failed_is_tried_again(store: ObjectStore) -> None:
    plane, revisions = FakePlane(), RevisionStore(store)
    good, wanted = serve_a_good_one(plane, store, "blue-green"), spec("blue-green", 2048)
    plane.bad = {wanted.spec_digest}
    assert run(plane, store, wanted, 10**9) == "failed"
    plane.applied.clear()  # the cluster was lost
    assert run(plane, store, wanted, 2) == "killed"  # it lived for one apply and one wait
    assert set(plane.applied) == {good.revision_name}
    assert revisions.last_good("chat") is not None
