"""The node cache: verified, shared, bounded, and never half filled."""

import os
import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from slipway.artifacts.errors import ArtifactError, CorruptFileError, NoSpaceError, NotPublishedError
from slipway.artifacts.node.cache import NodeCache
from slipway.artifacts.node.locks import CacheLocks
from slipway.artifacts.weights.manifest import Manifest
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.stack.ports import free_ports
from testbed import weights

from . import fetching


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "node-cache"


def held_in(directory: Path) -> set[str]:
    """Names of the weights of which the cache holds an entry."""
    return {path.parent.parent.name for path in directory.glob("[!.]*/*/verified.json")}


def unused(directory: Path, manifest: Manifest) -> None:
    """As if the process that used these weights, which is this one, had ended."""
    CacheLocks(directory / ".locks").release(f"{manifest.name}@{manifest.commit}")


@dataclass(frozen=True)
class Content:
    """Files by path: enough to be told apart, and quick."""

    files: dict[str, bytes]
    large: str = "model-1.safetensors"
    small: str = "sub/model-2.safetensors"

    @property
    def size_bytes(self) -> int:
        return sum(len(body) for body in self.files.values())


@pytest.fixture(scope="session")
def content() -> Content:
    draw = random.Random(7)
    return Content(
        {
            Content.large: draw.randbytes(300_000),
            Content.small: draw.randbytes(1000),
            "config.json": b"{}",
            "empty.txt": b"",
        }
    )


@pytest.fixture
def publish(store) -> Callable[[str, dict[str, bytes]], Manifest]:
    """Puts files and their manifest into the store, as a pull does."""

    return partial(weights.publish, store)


@pytest.fixture
def published(publish, content) -> Manifest:
    return publish("tiny", content.files)


@pytest.fixture
def others(publish, content) -> list[Manifest]:
    """The same files under two more names."""
    return [publish(f"other-{number}", content.files) for number in range(2)]


@pytest.fixture
def cache(store, directory, content) -> NodeCache:
    """A cache with room for two of the three."""
    return NodeCache(store, directory, 2 * content.size_bytes + 100)


@pytest.fixture
def another_process(store, directory, content):
    """Starts a process that fetches a prefix, says where and goes on living."""
    started: list[subprocess.Popen[str]] = []

    def start(prefix: str, max_bytes: int = 2 * content.size_bytes + 100) -> subprocess.Popen[str]:
        started.append(fetching.start(store.location, prefix, directory, max_bytes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def same(directory: Path, content) -> bool:
    found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items()} == content.files


def test_a_fetch_holds_exactly_the_published_files(cache, published, content):
    assert same(cache.fetch(published.prefix), content)


def test_a_second_fetch_reads_no_file_from_the_store(cache, published, content, store):
    first = cache.fetch(published.prefix)
    for path in content.files:
        store.delete(published.prefix + path)
    assert cache.fetch(published.prefix) == first
    assert same(first, content)


def test_what_is_held_serves_while_the_store_is_down(cache, published, directory, content, store):
    cache.fetch(published.prefix)
    down = ObjectStore(replace(store.location, endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}"))
    assert same(NodeCache(down, directory, 10**9).fetch(published.prefix), content)
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_ENDPOINT"):
        NodeCache(down, directory, 10**9).fetch(f"weights/absent/{'0' * 40}/")


@pytest.mark.parametrize("damage", ["shorter", "removed", "touched", "a link", "no marker", "bad marker"])
def test_a_damaged_entry_is_found_and_filled_again(cache, published, content, damage):
    held = cache.fetch(published.prefix)
    victim = held / content.large
    marker = held.parent / "verified.json"
    match damage:
        case "shorter":
            os.truncate(victim, 1000)
        case "removed":
            victim.unlink()
        case "touched":
            with victim.open("r+b") as file:
                file.write(b"\0\0\0\0\0\0\0\0")
        case "a link":
            victim.rename(victim.with_name("elsewhere"))
            victim.symlink_to("elsewhere")
        case "no marker":
            marker.unlink()
        case _:
            marker.write_text("{")
    assert same(cache.fetch(published.prefix), content)


def test_a_file_that_was_only_touched_is_read_and_kept(cache, published, content, store):
    held = cache.fetch(published.prefix)
    os.utime(held / content.large)
    store.delete(published.prefix + content.large)
    for _ in range(2):
        assert same(cache.fetch(published.prefix), content)


class CountingStore(ObjectStore):
    """The store, with the keys of all that was read of it in bulk."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store.location)
        self.read: list[str] = []

    def presigned(self, method: str, key: str, *args: object, **named: object):
        self.read.append(key)
        return super().presigned(method, key, *args, **named)


def test_of_many_that_want_it_at_once_one_fills_it(published, content, directory, store):
    counting = CountingStore(store)
    cache = NodeCache(counting, directory, 10 * content.size_bytes)
    with ThreadPoolExecutor(6) as pool:
        directories = set(pool.map(lambda _: cache.fetch(published.prefix), range(6)))
    assert len(directories) == 1
    assert same(directories.pop(), content)
    assert sorted(counting.read) == sorted(
        published.prefix + path for path in content.files if content.files[path]
    )
    assert list((directory / ".partial").iterdir()) == []


def test_the_least_recently_used_entry_goes_when_room_is_needed(cache, published, others, content, directory):
    for manifest in (published, others[0]):
        cache.fetch(manifest.prefix)
        time.sleep(0.02)
    cache.fetch(published.prefix)
    for manifest in (published, others[0]):
        unused(directory, manifest)
    assert same(cache.fetch(others[1].prefix), content)
    assert held_in(directory) == {"tiny", "other-1"}


def test_an_entry_in_use_is_never_removed(cache, published, others, another_process, content):
    """Used by this process and by another one: then there is no room, until the other one ends (kill -9)."""
    held = cache.fetch(published.prefix)
    engine = another_process(others[0].prefix)
    theirs = Path(engine.stdout.readline().strip())
    with pytest.raises(NoSpaceError, match="SLIPWAY_NODE_CACHE_BYTES") as refused:
        cache.fetch(others[1].prefix)
    assert str(content.size_bytes) in str(refused.value)
    assert same(held, content)
    assert same(theirs, content)
    engine.kill()
    engine.wait()
    assert same(cache.fetch(others[1].prefix), content)
    assert not theirs.exists()
    assert same(held, content)


def test_a_fill_that_was_killed_is_thrown_away_and_done_again(store, publish, another_process, directory):
    manifest = publish("big", {"weights.gguf": bytes(50_000_000)})
    engine = another_process(manifest.prefix, manifest.size_bytes)
    partial = directory / ".partial"
    deadline = time.monotonic() + 90
    while not list(directory.glob(".partial/*/files/weights.gguf")):
        assert time.monotonic() < deadline
        assert engine.poll() is None
    engine.kill()
    engine.wait()
    assert len(list(partial.iterdir())) == 1
    # The bound is the size of this one entry: what the dead process reserved must not count.
    held = NodeCache(store, directory, manifest.size_bytes).fetch(manifest.prefix)
    assert (held / "weights.gguf").stat().st_size == manifest.size_bytes
    assert list(partial.iterdir()) == []


def test_more_than_the_whole_cache_is_refused_and_nothing_is_removed(
    store, directory, published, others, content
):
    small = NodeCache(store, directory, content.size_bytes)
    small.fetch(others[0].prefix)
    unused(directory, others[0])
    smaller = NodeCache(store, directory, content.size_bytes - 1)
    with pytest.raises(NoSpaceError, match="more than the whole cache"):
        smaller.fetch(published.prefix)
    assert held_in(directory) == {"other-0"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to be out of space for real")
def test_a_disk_without_space_is_said_to_be(cache, published, directory, content, monkeypatch):
    """The write that fails is real: the file to be written is /dev/full."""
    genuine = Path.open

    def open_full(path: Path, mode: str = "r", *args: object, **named: object) -> object:
        if path.name == "model-1.safetensors" and "x" in mode:
            return genuine(Path("/dev/full"), "wb")
        return genuine(path, mode, *args, **named)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(NoSpaceError, match="SLIPWAY_NODE_CACHE"):
        cache.fetch(published.prefix)
    monkeypatch.undo()
    assert list((directory / ".partial").iterdir()) == []
    assert same(cache.fetch(published.prefix), content)


def test_a_wrong_byte_in_the_store_never_reaches_an_engine(cache, published, store, content, directory):
    body = bytearray(content.files[content.small])
    body[-1] ^= 1
    store.put(published.prefix + content.small, bytes(body))
    with pytest.raises(CorruptFileError, match=content.small):
        cache.fetch(published.prefix)
    assert held_in(directory) == set()


def test_an_unpublished_prefix_is_named(cache):
    with pytest.raises(NotPublishedError, match="slipway weights pull absent`"):
        cache.fetch(f"weights/absent/{'0' * 40}/")


@pytest.mark.parametrize(
    "prefix", ["", "weights/x", "weights/../x/", "routes/a/b/", f"weights/A B/{'0' * 40}/"]
)
def test_a_prefix_that_is_none_is_refused(cache, prefix):
    with pytest.raises(ArtifactError, match="not a weights prefix"):
        cache.fetch(prefix)
