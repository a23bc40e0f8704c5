"""Records of revisions in a real store: all of them, and what is among them and is none."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision, RevisionStore, UnreadableRevisionError

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DIGEST = f"sha256:{'a' * 64}"


def revision(name: str, minute: int) -> Revision:
    """One spec of a deployment, applied at that minute."""
    resolved = ResolvedDeployment(
        deployment=Deployment(name=name, model="m", runtime="ray", engine="e", env={"N": str(minute)}),
        engine=Engine(name="e", server="llama.cpp", images={"cpu": {"image": "r/e", "digest": DIGEST}}),
        model=ResolvedArtifact(name="m", source="file:///m", commit="1" * 40),
        adapters=(ResolvedArtifact(name="tone", source="file:///a", commit="2" * 40),),
    )
    applied = Applied(resolved.revision_name, name, resolved.spec_digest, {})
    return revisions.of(resolved, applied, "http://u/v1", NOON + timedelta(minutes=minute))


def test_every_record_of_every_deployment_is_told_with_its_key_and_what_it_names(store: ObjectStore) -> None:
    records = RevisionStore(store)
    written = [records.put(revision(name, minute)) for name in ("chat", "other") for minute in (0, 1)]
    told = dict(records.everything())
    assert told == {f"revisions/{each.deployment}/{each.spec_digest}.json": each for each in written}
    for each in told.values():
        assert each.artifacts == (("m", "1" * 40), ("tone", "2" * 40))
        assert [image["digest"] for image in each.images] == [DIGEST]


@pytest.mark.parametrize("body", [b"not JSON", b"{}", b"[]", b"\xff"])
def test_an_object_that_is_no_record_is_named_with_what_to_do(store: ObjectStore, body: bytes) -> None:
    records = RevisionStore(store)
    records.put(revision("chat", 0))
    store.put("revisions/chat/odd.json", body)
    with pytest.raises(UnreadableRevisionError, match=r"revisions/chat/odd\.json in bucket .*Restore"):
        list(records.everything())
    with pytest.raises(UnreadableRevisionError, match=r"revisions/chat/odd\.json"):
        records.all("chat")


def test_a_record_with_fields_of_a_later_version_is_read(store: ObjectStore) -> None:
    written = replace(revision("chat", 0), evidence=({"name": "stream"},))
    store.put(
        f"revisions/chat/{written.spec_digest}.json",
        json.dumps({"schema": 1, "later": True, **asdict(written)}).encode(),
    )
    assert RevisionStore(store).get("chat", written.spec_digest) == written
