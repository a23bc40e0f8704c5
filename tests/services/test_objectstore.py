from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from slipway.objectstore import ObjectStore, ObjectStoreError


def test_of_many_writers_who_create_the_same_key_exactly_one_wins(store: ObjectStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: store.create("once", str(n).encode()), range(16)))
    assert won.count(True) == 1
    assert store.get("once") == str(won.index(True)).encode()


def test_an_unchanged_object_is_not_read_again(store: ObjectStore) -> None:
    store.put("table", b"one")
    body, etag = store.get_if_changed("table", None) or (b"", "")
    assert body == b"one"
    assert store.get_if_changed("table", etag) is None
    store.put("table", b"two")
    assert (store.get_if_changed("table", etag) or (b"", ""))[0] == b"two"


def test_a_wrong_secret_is_named_with_its_remedy(store: ObjectStore) -> None:
    intruder = ObjectStore(replace(store.location, secret_key="wrong"))
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_SECRET_KEY"):
        intruder.put("a", b"b")
    assert store.get("a") is None


def test_listing_is_in_key_order_and_deleting_twice_is_harmless(store: ObjectStore) -> None:
    for key in ("p/b", "p/a", "q/c"):
        store.put(key, key.encode())
    assert [(found.key, found.size_bytes) for found in store.list("p/")] == [("p/a", 3), ("p/b", 3)]
    store.delete("p/a")
    store.delete("p/a")
    assert [found.key for found in store.list("p/")] == ["p/b"]
