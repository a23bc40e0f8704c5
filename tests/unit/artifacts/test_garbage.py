"""The words that both garbage collections speak."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.artifacts.garbage import Action, Outcome, after_grace, kept, with_action

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE = timedelta(days=1)


def test_what_somebody_needs_is_kept_and_names_each_of_them_once() -> None:
    fate = kept("weights", ["catalog", "revision chat 1a2b3c4d", "catalog"])
    assert (fate.action, fate.reason) == ("keep", "needed by catalog, revision chat 1a2b3c4d")
    assert fate.named_by == ("catalog", "revision chat 1a2b3c4d")


@pytest.mark.parametrize(
    ("since", "action"),
    [(NOW, "wait"), (NOW - GRACE + timedelta(seconds=1), "wait"), (NOW - GRACE, "remove")],
)
def test_what_nobody_needs_waits_for_its_time_of_grace_to_end(since: datetime, action: Action) -> None:
    fate = after_grace("image", "nobody names it", since, GRACE, NOW)
    assert (fate.action, fate.due_at) == (action, since + GRACE)
    assert fate.reason == f"nobody names it since {since:%F %T} UTC"


def test_an_outcome_tells_of_everything_that_was_found() -> None:
    fates = [
        kept("a", ["catalog"]),
        after_grace("b", "nobody names it", NOW, GRACE, NOW),
        after_grace("c", "nobody names it", NOW - GRACE, GRACE, NOW),
    ]
    outcome = Outcome(
        applied=False,
        removed=with_action(fates, "remove"),
        waiting=with_action(fates, "wait"),
        kept=with_action(fates, "keep"),
    )
    assert [fate.stored for fate in outcome.removed] == ["c"]
    assert sorted(fate.stored for fate in outcome.fates) == ["a", "b", "c"]
