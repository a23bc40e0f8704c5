"""The route table's one writer, on both stores: no change is lost, and none is made twice."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from slipway.environment import S3Location
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.objectstore import ObjectStore
from slipway.records import route_store, routes
from slipway.records.route_store import LEGACY_KEY, RouteStore, key_of
from slipway.records.routes import Route, RouteTable, RouteTableError

CHANGES = {"seaweed": 1_000, "moto": 200}
NAMES = [f"d{number:02}" for number in range(20)]


@pytest.fixture(params=["seaweed", "moto"])
def any_store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """An empty bucket on either store."""
    location: S3Location = request.getfixturevalue(request.param)
    found = ObjectStore(replace(location, bucket=f"routes-{threading.get_native_id()}-{request.param}"))
    found.ensure_bucket()
    yield found
    for item in list(found.list("")):
        found.delete(item.key)
    found.client.delete_bucket(Bucket=found.location.bucket)


def route(name: str, revision: int = 1, sharing: str = "all") -> Route:
    return Route(
        model=name,
        deployment=name,
        revision=str(revision),
        upstreams=(f"http://{name}/v1",),
        upstream_model=name,
        sharing=sharing,
    )


def counted_up(table: RouteTable, name: str) -> RouteTable:
    """The table with one route changed: its revision counts how often."""
    before = table.by_model.get(name)
    changed = route(name, int(before.revision) + 1 if before is not None else 1)
    return routes.build([*(each for each in table.routes if each.model != name), changed])


def numbers(store: ObjectStore) -> list[int]:
    found = (item.key for item in store.list("routes/") if item.key != LEGACY_KEY)
    return [int(key.removeprefix("routes/").removesuffix(".json")) for key in found]


def test_of_two_writers_at_once_neither_loses_nor_doubles_a_change(
    any_store: ObjectStore, request: pytest.FixtureRequest
) -> None:
    """Each change counts one route up, from whatever the other writer left there."""
    changes = CHANGES[request.node.callspec.params["any_store"]]
    begin = threading.Barrier(2)
    made: list[int] = []

    def write(writer: int) -> None:
        own = RouteStore(ObjectStore(any_store.location), kept=2 * changes)
        begin.wait()
        for change in range(changes // 2):
            name = NAMES[(change * (writer + 1)) % len(NAMES)]
            made.append(own.change(lambda table, name=name: counted_up(table, name)).number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert sorted(made) == list(range(1, changes + 1))  # a number each, and no gap
    assert numbers(any_store) == sorted(made)
    number, table = RouteStore(any_store).latest()
    assert number == changes
    expected = dict.fromkeys(NAMES, 0)
    for writer in range(2):
        for change in range(changes // 2):
            expected[NAMES[(change * (writer + 1)) % len(NAMES)]] += 1
    assert {each.model: int(each.revision) for each in table.routes} == expected


def test_an_equal_table_is_not_written_again(any_store: ObjectStore) -> None:
    published = RouteStore(any_store)
    first = published.change(lambda _: routes.build([route("chat")]))
    again = published.change(lambda _: routes.build([route("chat")]))
    assert (first.number, again.number) == (1, 1)
    assert again.table.version == first.table.version
    assert numbers(any_store) == [1]


def test_old_tables_are_removed_and_followers_and_writers_go_on(any_store: ObjectStore) -> None:
    published = RouteStore(any_store, kept=3)
    for revision in range(8):
        published.change(lambda _, revision=revision: routes.build([route("chat", revision)]))
    assert numbers(any_store) == [6, 7, 8]
    newest = published.newest(known=2)  # of one that slept meanwhile
    assert newest is not None
    assert newest.number == 8
    assert published.latest().table.by_model["chat"].revision == "7"


def test_a_writer_that_was_away_while_its_number_came_and_went_starts_again(store: ObjectStore) -> None:
    """Its next number was written, and removed as old: creating it once more would be a change for nobody."""
    others, slow = RouteStore(store, kept=3), RouteStore(store, kept=3)
    others.change(lambda _: routes.build([route("a")]))
    seen: list[set[str]] = []

    def make(table: RouteTable) -> RouteTable:
        seen.append(set(table.by_model))
        if len(seen) == 1:
            for name in "bcdefgh":
                others.change(lambda now, name=name: counted_up(now, name))
        return counted_up(table, "mine")

    number, table = slow.change(make)
    assert seen == [{"a"}, set("abcdefgh")]
    assert (number, set(table.by_model)) == (9, {*"abcdefgh", "mine"})
    assert RouteStore(store).latest() == (number, table)
    assert numbers(store) == [7, 8, 9]


def test_a_write_whose_reply_was_lost_counts_once(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client repeats such a request, and the store refuses the second: the object is there, by us."""
    create = ObjectStore.create

    def losing(self: ObjectStore, key: str, body: bytes, **options: str) -> bool:
        assert create(self, key, body, **options)
        return create(self, key, body, **options)

    monkeypatch.setattr(ObjectStore, "create", losing)
    assert RouteStore(store).change(lambda table: counted_up(table, "chat")).number == 1
    assert RouteStore(store).latest().table.by_model["chat"].revision == "1"


def test_other_writers_who_are_always_first_end_in_an_error_that_says_so(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_store, "_PATIENCE_S", 0.0)

    def make(table: RouteTable) -> RouteTable:
        RouteStore(store).change(lambda now: counted_up(now, "theirs"))
        return counted_up(table, "mine")

    with pytest.raises(route_store.RoutesContendedError, match="run this again"):
        RouteStore(store).change(make)


def test_the_table_of_the_version_before_counts_until_the_first_change(store: ObjectStore) -> None:
    assert RouteStore(store).latest().number == 0
    store.put(LEGACY_KEY, routes.encode(routes.build([route("old")])))
    number, table = RouteStore(store).latest()
    assert (number, set(table.by_model)) == (0, {"old"})
    # Even where nothing changes: from then on gateways are told a number to wait for.
    number, table = RouteStore(store).change(lambda before: before)
    assert (number, set(table.by_model)) == (1, {"old"})
    store.put(LEGACY_KEY, routes.encode(routes.build([route("late")])))
    assert set(RouteStore(store).latest().table.by_model) == {"old"}


def test_a_bad_table_is_named_and_removing_it_brings_the_one_before_back(store: ObjectStore) -> None:
    published = RouteStore(store)
    published.change(lambda _: routes.build([route("chat")]))
    store.put(key_of(2), b"{ not json")
    with pytest.raises(RouteTableError, match=r"routes/000000000002\.json in bucket .*not JSON"):
        published.change(lambda table: table)
    store.delete(key_of(2))
    assert published.latest().number == 1


@pytest.fixture
def follower(store: ObjectStore, tmp_path) -> RouteFollower:
    return RouteFollower(store, tmp_path / "cached.json")


def test_a_follower_has_each_table_within_one_poll_and_asks_once_where_nothing_changed(
    store: ObjectStore, follower: RouteFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = RouteStore(store)
    follower.poll()
    assert (follower.loaded, follower.number, follower.table.routes) == (True, 0, ())
    for revision in range(1, 5):
        published.change(lambda _, revision=revision: routes.build([route("chat", revision)]))
        follower.poll()
        assert (follower.number, follower.table.by_model["chat"].revision) == (revision, str(revision))
    asked: list[str] = []
    follow = store.client.meta.events.register_first(
        "before-call.s3", lambda model, **_: asked.append(model.name)
    )
    follower.poll()
    assert follow is None
    assert asked == ["ListObjectsV2"]


def test_a_follower_of_the_legacy_table_changes_to_numbers_with_the_first(
    store: ObjectStore, follower: RouteFollower
) -> None:
    for sharing in ("none", "all"):
        store.put(LEGACY_KEY, routes.encode(routes.build([route("chat", sharing=sharing)])))
        follower.poll()
        assert (follower.number, follower.table.by_model["chat"].sharing) == (0, sharing)
    RouteStore(store).change(lambda table: counted_up(table, "more"))
    follower.poll()
    assert (follower.number, set(follower.table.by_model)) == (1, {"chat", "more"})


def test_a_follower_survives_pruning_removal_by_hand_and_another_store(
    store: ObjectStore, follower: RouteFollower
) -> None:
    published = RouteStore(store, kept=2)
    for revision in (1, 2, 3, 4):
        published.change(lambda _, revision=revision: routes.build([route("chat", revision)]))
    follower.poll()
    for revision in (5, 6, 7, 8):
        published.change(lambda _, revision=revision: routes.build([route("chat", revision)]))
    follower.poll()  # its own number is gone
    assert follower.number == 8
    store.delete(key_of(8))
    follower.poll()
    assert (follower.number, follower.table.by_model["chat"].revision) == (7, "7")
    for key in [item.key for item in store.list("routes/")]:
        store.delete(key)
    follower.poll()
    assert follower.table.by_model["chat"].revision == "7"  # nothing says otherwise
    published.change(lambda _: routes.build([route("chat", 100)]))
    follower.poll()
    assert (follower.number, follower.table.by_model["chat"].revision) == (1, "100")


def test_a_follower_keeps_the_good_table_while_the_newest_is_bad(
    store: ObjectStore, follower: RouteFollower
) -> None:
    RouteStore(store).change(lambda _: routes.build([route("chat")]))
    follower.poll()
    for bad in (b"{ not json", b"[]"):
        store.put(key_of(2), bad)
        follower.poll()
        assert follower.refused is not None
        assert (follower.number, set(follower.table.by_model)) == (1, {"chat"})
    store.put(key_of(2), routes.encode(routes.build([route("other")])))  # mended in place
    follower.poll()
    assert (follower.refused, follower.number, set(follower.table.by_model)) == (None, 2, {"other"})


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


UNREADABLE = {
    "nested 400 deep in a field": b'{"schema": 1, "more": %s}' % nested(400),
    "nested 400 deep": nested(400),
    "nested 5,000 deep": nested(5_000),
    "not UTF-8": b"\xff\xfe",
    "half a surrogate pair": b'{"schema": 1, "version": "\\ud800"}',
    "a number beyond all": b'{"schema": 1, "generated_at": 1e999999}',
    "a date beyond all": b'{"schema": 1, "version": "a", "generated_at": 99999999999999999999, "routes": []}',
    "a schema that is a list": b'{"schema": [1]}',
    "empty": b"",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_whatever_a_bad_table_is_it_is_refused_and_the_next_good_one_taken(
    store: ObjectStore, follower: RouteFollower, body: bytes
) -> None:
    RouteStore(store).change(lambda _: routes.build([route("chat")]))
    follower.poll()
    store.put(key_of(2), body)
    follower.poll()
    assert follower.refused is not None and follower.refused.startswith("route table: ")
    assert (follower.number, set(follower.table.by_model)) == (1, {"chat"})
    with pytest.raises(RouteTableError, match=r"routes/000000000002\.json"):
        RouteStore(store).latest()
    store.put(key_of(3), routes.encode(routes.build([route("next")])))
    follower.poll()
    assert (follower.refused, follower.number, set(follower.table.by_model)) == (None, 3, {"next"})


class Panic(BaseException):
    """As libraries written in Rust raise one."""


@pytest.mark.parametrize("error", [RecursionError("too deep"), KeyError("x"), MemoryError(), Panic("panic")])
def test_a_table_that_breaks_the_reader_is_refused_with_its_reason_and_not_read_again(
    store: ObjectStore, follower: RouteFollower, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    published = RouteStore(store)
    published.change(lambda _: routes.build([route("chat")]))
    with monkeypatch.context() as patched:
        patched.setattr(routes, "parse", lambda _: (_ for _ in ()).throw(error))
        with contextlib.suppress(Panic):  # that goes on to the loop, which survives it
            follower.poll()
    follower.poll()
    assert follower.refused is not None and type(error).__name__ in follower.refused
    assert follower.number == 0
    published.change(lambda _: routes.build([route("next")]))
    follower.poll()
    assert (follower.refused, follower.number) == (None, 2)


@pytest.mark.parametrize("body", [*UNREADABLE.values(), None], ids=[*UNREADABLE, "a directory"])
def test_a_follower_starts_whatever_is_in_the_place_of_its_copy(
    store: ObjectStore, tmp_path, body: bytes | None
) -> None:
    cache = tmp_path / "cached.json"
    if body is None:
        cache.mkdir()
    else:
        cache.write_bytes(body)
    RouteStore(store).change(lambda _: routes.build([route("chat")]))
    follower = RouteFollower(store, cache)
    assert not follower.loaded
    follower.poll()
    assert (follower.loaded, set(follower.table.by_model)) == (True, {"chat"})


def test_a_follower_starts_from_its_copy_without_a_store(store: ObjectStore, tmp_path) -> None:
    RouteStore(store).change(lambda _: routes.build([route("chat")]))
    RouteFollower(store, tmp_path / "cached.json").poll()
    unreachable = ObjectStore(replace(store.location, endpoint_url="http://127.0.0.1:9"))
    again = RouteFollower(unreachable, tmp_path / "cached.json")
    assert (again.loaded, set(again.table.by_model)) == (True, {"chat"})


def test_a_follower_of_an_endpoint_holds_what_that_endpoint_serves(store: ObjectStore, tmp_path) -> None:
    live = route("chat", 1).model_copy(update={"endpoints": ("live",)})
    beta = route("chat", 2).model_copy(update={"endpoints": ("beta",)})
    RouteStore(store).change(lambda _: routes.build([live, beta]))
    held = {}
    for endpoint in ("live", "beta", None):
        follower = RouteFollower(store, tmp_path / f"{endpoint}.json", endpoint)
        follower.poll()
        held[endpoint] = {name: each.revision for name, each in follower.table.by_model.items()}
        again = RouteFollower(store, tmp_path / f"{endpoint}.json", endpoint)  # from its copy
        assert again.table == follower.table
    assert held == {"live": {"chat": "1"}, "beta": {"chat": "2"}, None: {}}
