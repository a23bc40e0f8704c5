"""Garbage collection on a real store: what it removes, and all that it leaves alone."""

import threading
import time
from typing import Any

import pytest

from slipway.artifacts.errors import NotPublishedError
from slipway.artifacts.garbage import UnknownUsesError
from slipway.artifacts.weights import claims, collection
from slipway.artifacts.weights.claims import MARKS, Terms
from slipway.artifacts.weights.collection import Collected, collect
from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Catalog
from slipway.control.held_weights import hold_weights
from slipway.objectstore import ObjectStore
from slipway.records import route_store, routes
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import RouteStore

from .keeping import catalog_of, commit, deployment, is_whole, keys, publish, revision_of

NOTHING = catalog_of()
QUICK = Terms(poll_s=0.02)


def gc(store: ObjectStore, catalog: Catalog = NOTHING, *, apply: bool = True) -> Collected:
    return collect(store, catalog, apply=apply, log=print, terms=QUICK)


def removed(found: Collected) -> list[str]:
    return [each.stored.prefix for each in found.removed]


def test_a_dry_run_says_what_would_go_and_changes_nothing(store: ObjectStore) -> None:
    garbage = publish(store, "m", commit(1))
    before = keys(store)
    found = gc(store, apply=False)
    assert removed(found) == [garbage.prefix]
    assert found.removed_bytes == garbage.size_bytes
    assert not found.applied
    assert keys(store) == before


def test_what_nobody_names_is_removed_with_everything_that_belonged_to_it(store: ObjectStore) -> None:
    garbage, needed = publish(store, "m", commit(1)), publish(store, "n", commit(2))
    found = gc(store, catalog_of(needed.source))
    assert removed(found) == [garbage.prefix]
    assert [(each.stored.prefix, each.reason) for each in found.kept] == [
        (needed.prefix, "needed by catalog")
    ]
    assert all(key.startswith(needed.prefix) for key in keys(store))
    assert is_whole(store, needed)


def test_weights_dropped_from_the_catalog_have_their_grace_from_the_first_collection_on(
    store: ObjectStore,
) -> None:
    dropped = publish(store, "m", commit(1))
    time.sleep(1.5)  # longer than the grace: but until now the catalog may have named it
    first = gc(store, catalog_of(grace_s=1))
    assert removed(first) == []
    assert [each.reason for each in first.waiting] == ["nobody names it, which is new"]
    # Named again: the note that was taken is void.
    assert [each.action for each in gc(store, catalog_of(dropped.source, grace_s=1)).kept] == ["keep"]
    assert removed(gc(store, catalog_of(grace_s=1))) == []
    time.sleep(2.1)  # the store's instants are whole seconds
    assert removed(gc(store, catalog_of(grace_s=1))) == [dropped.prefix]
    assert keys(store) == set()


def test_what_any_recorded_revision_names_is_kept_until_its_record_is_gone(store: ObjectStore) -> None:
    manifest = publish(store, "m", commit(1))
    records = RevisionStore(store)
    records.put(revision_of(deployment("chat", "m", commit(1))))
    found = gc(store)
    assert removed(found) == []
    assert "revision chat" in found.kept[0].reason
    records.forget("chat")
    assert removed(gc(store)) == [manifest.prefix]


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("revisions/chat/broken.json", b"not a record"),
        ("revisions/chat/other.json", b"{}"),
        (route_store.LEGACY_KEY, b"not a table"),
        (route_store.key_of(7), b"not a table"),
    ],
)
def test_a_use_that_cannot_be_read_stops_the_collection_by_name(
    store: ObjectStore, key: str, body: bytes
) -> None:
    manifest = publish(store, "m", commit(1))
    store.put(key, body)
    with pytest.raises(UnknownUsesError, match=key):
        gc(store)
    assert is_whole(store, manifest)


def test_a_routed_revision_without_a_record_stops_the_collection(store: ObjectStore) -> None:
    manifest = publish(store, "m", commit(1))
    route = routes.Route(
        model="chat", deployment="chat", revision="d" * 64, upstreams=("http://x/v1",), upstream_model="chat"
    )
    RouteStore(store).change(lambda _: routes.build([route]))
    with pytest.raises(UnknownUsesError, match="Roll chat out and route it again"):
        gc(store)
    assert is_whole(store, manifest)


def test_of_a_moving_source_the_commit_pulled_last_is_kept(store: ObjectStore) -> None:
    older = publish(store, "m", commit(1))
    time.sleep(1.1)  # the store's instants are whole seconds
    newer = publish(store, "m", commit(2))
    assert removed(gc(store, catalog_of("hf://org/m@main"))) == [older.prefix]
    assert is_whole(store, newer)


def test_a_pull_that_was_interrupted_for_good_is_removed_with_its_uploads(
    store: ObjectStore, uploads_left: Any
) -> None:
    at = f"weights/m/{commit(1)}/"
    store.put(f"{at}config.json", b"{}")
    for prefix in (at, f"weights/only-an-upload/{commit(2)}/"):
        store.client.create_multipart_upload(Bucket=store.location.bucket, Key=f"{prefix}model.gguf")
    assert len(gc(store, catalog_of(grace_s=60)).waiting) == 2
    assert len(uploads_left()) == 2
    assert len(gc(store).removed) == 2
    assert uploads_left() == []
    assert keys(store) == set()


def test_objects_under_weights_that_are_not_ours_are_left_alone(store: ObjectStore) -> None:
    store.put("weights/README", b"by a person")
    store.put("weights/m/not-a-commit/file", b"by a person")
    assert gc(store).removed == ()
    assert keys(store) == {"weights/README", "weights/m/not-a-commit/file"}


class InterruptedCollector(ObjectStore):
    """The store as a collector sees it; after its first mark it lets somebody else go on, and waits."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store.location)
        self.marked, self.go_on = threading.Event(), threading.Event()

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str:
        etag = super().put(key, body, content_type=content_type)
        if key.startswith(MARKS):
            self.marked.set()
            assert self.go_on.wait(90)
        return etag


def test_a_rollout_that_starts_when_its_weights_are_marked_waits_and_keeps_them(store: ObjectStore) -> None:
    manifest = publish(store, "m", commit(1))
    slow = InterruptedCollector(store)
    found: list[Collected] = []
    collector = threading.Thread(target=lambda: found.append(gc(slow)))
    collector.start()
    assert slow.marked.wait(90)
    said: list[str] = []
    rollout = threading.Thread(
        target=hold_weights, args=(store, deployment("chat", "m", commit(1)), said.append)
    )
    rollout.start()
    while not said:  # it has its lease, and sees the mark
        time.sleep(0.01)
    slow.go_on.set()
    collector.join()
    rollout.join()
    assert "garbage collection is at it" in said[0]
    assert removed(found[0]) == []
    assert [each.prefix for each in found[0].unfinished] == [manifest.prefix]
    assert is_whole(store, manifest)
    assert not any(key.startswith(MARKS) for key in keys(store))


def test_a_rollout_that_holds_its_weights_keeps_them_until_its_record_does(store: ObjectStore) -> None:
    manifest = publish(store, "m", commit(1))
    hold_weights(store, deployment("chat", "m", commit(1)), print)
    found = gc(store)
    assert removed(found) == []
    assert "the rollout of chat-" in found.kept[0].reason
    assert is_whole(store, manifest)


def test_a_rollout_whose_weights_were_collected_fails_at_once_and_says_what_to_materialize(
    store: ObjectStore,
) -> None:
    publish(store, "m", commit(1))
    gc(store)
    with pytest.raises(NotPublishedError, match="slipway weights pull m"):
        hold_weights(store, deployment("chat", "m", commit(1)), print)


def test_a_pull_after_a_collection_brings_the_weights_back(pull: Any, tiny: Any, store: ObjectStore) -> None:
    first = pull(tiny)
    for lease in claims.leases(store):  # as if its hour had passed
        store.delete(lease.key)
    assert removed(gc(store)) == [first.prefix]
    again = pull(tiny)
    assert again.files == first.files
    assert Manifest.read(store, "tiny", again.commit) == again
    assert is_whole(store, again)


def test_a_collector_whose_time_is_up_stops_in_the_midst_and_the_next_run_ends_it(store: ObjectStore) -> None:
    publish(store, "m", commit(1))
    found = collect(store, NOTHING, apply=True, log=print, terms=Terms(act_s=0))
    assert (found.removed, len(found.unfinished)) == ((), 1)
    assert len(gc(store).removed) == 1
    assert keys(store) == set()


def test_more_than_one_batch_is_removed_in_one_run(store: ObjectStore) -> None:
    for number in range(collection._BATCH + 1):
        store.put(f"weights/m/{commit(number)}/config.json", b"{}")
    assert len(gc(store).removed) == collection._BATCH + 1
    assert keys(store) == set()
