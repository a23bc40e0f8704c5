"""Which mirrored images may go."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.artifacts.images.record import ImageRecord
from slipway.artifacts.images.retention import decide
from slipway.artifacts.images.uses import Use

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GRACE = timedelta(days=1)
SOURCE = "registry.example/engine"


def day(number: int) -> datetime:
    return datetime(2026, 2, number, tzinfo=UTC)


def record(letter: str, created: int, seen: int | None = None, *tags: str) -> ImageRecord:
    """An image `letter`, mirrored first and last on these days of February, as `tags`, by default `v1`."""
    digest = f"sha256:{letter * 64}"
    return ImageRecord(
        engine="engine",
        accelerator="cpu",
        source=SOURCE,
        source_tags=tags or ("v1",),
        digest=digest,
        platforms={},
        whole=True,
        registry="mirror.example",
        repository="engine",
        manifests=(digest, f"sha256:{letter * 63}0"),
        tags=(),
        blobs={},
        licence=None,
        created_at=day(created),
        resolved_at=day(seen or created),
    )


def removed(records: list[ImageRecord], *uses: Use) -> str:
    fates = decide(records, uses, NOW, GRACE)
    assert all(fate.reason for fate in fates)
    return "".join(fate.stored.digest[7] for fate in fates if fate.action == "remove")


A, B, C = record("a", 1, 5), record("b", 6, 10), record("c", 11, 20)
CATALOG = Use("catalog", NOW, source=SOURCE, tag="v1")


def revision(on: int) -> Use:
    return Use("revision", day(on), source=SOURCE, tag="v1")


@pytest.mark.parametrize(
    ("records", "uses", "gone"),
    [
        ([A, B, C], [], "abc"),
        ([A, B, C], [CATALOG], "ab"),
        ([A, B, C], [Use("catalog", NOW, digest=A.digest)], "bc"),
        ([A, B, C], [Use("revision", NOW, digest=A.manifests[1])], "bc"),  # a platform of it
        ([A, B, C], [Use("catalog", NOW, source=SOURCE, tag="v2")], "abc"),
        ([A, B, C], [Use("catalog", NOW, source="other.example/engine", tag="v1")], "abc"),
        # What the tag may have been at a rollout: not what was left behind a day before it.
        ([A, B, C], [revision(9)], "a"),
        ([A, B, C], [revision(9), CATALOG], "a"),
        ([A, B, C], [revision(6)], ""),  # the move was on that day
        # The tag went from a to b and back: a was never left behind for good.
        ([record("a", 1, 20), record("b", 6, 10)], [CATALOG], ""),
        # Two tags of one digest.
        ([record("a", 1, 5, "v1", "latest"), B], [Use("catalog", NOW, source=SOURCE, tag="latest")], "b"),
    ],
)
def test_what_nothing_names_goes(records: list[ImageRecord], uses: list[Use], gone: str) -> None:
    assert removed(records, *uses) == gone


def test_what_was_mirrored_a_moment_ago_waits_for_its_time_of_grace_to_end() -> None:
    young = record("d", 28)
    waiting = decide([young], [], day(28) + timedelta(hours=23), GRACE)[0]
    assert (waiting.action, waiting.due_at) == ("wait", day(28) + GRACE)
    assert decide([young], [], day(28) + timedelta(hours=25), GRACE)[0].action == "remove"


def test_the_reason_names_everybody_who_needs_it() -> None:
    tags = [CATALOG, Use("revision chat 1a2b3c4d", NOW, digest=C.digest)]
    (fate,) = decide([C], [*tags, *tags], NOW, GRACE)
    assert (fate.action, fate.reason) == ("keep", "needed by catalog, revision chat 1a2b3c4d")
    assert fate.named_by == ("catalog", "revision chat 1a2b3c4d")


def test_what_an_earlier_mirroring_brought_is_not_forgotten() -> None:
    earlier = record("a", 1, 1, "v1").model_copy(update={"platforms": {"linux/amd64": f"sha256:{'1' * 64}"}})
    later = record("a", 9, 9, "latest").model_copy(
        update={"platforms": {"linux/arm64": f"sha256:{'2' * 64}"}}
    )
    joined = later.joined(earlier)
    assert (joined.created_at, joined.resolved_at) == (day(1), day(9))
    assert joined.source_tags == ("v1", "latest") and joined.tag == "latest"
    assert sorted(joined.platforms) == ["linux/amd64", "linux/arm64"]
    assert earlier.joined(joined).tag == "v1"
