"""A hub or a store that is away for a while: a pull waits, says for what, and goes on where it was."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from slipway.artifacts.errors import SourceError
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.sources.s3 import S3Source
from slipway.artifacts.transfer.parts import MIB, TransferLimits
from slipway.artifacts.transfer.progress import Progress
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.artifacts.transfer.steady import line
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.catalog.fields import SecretRef
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.stack.standin_hub import Fault, Repository, StandinHub

from ..answers import Answer, Asked, answering

# Away for longer than botocore and the attempts would bear with, and for less than the patience.
AWAY_S = 1.0
PATIENT = RetryPolicy(attempts=2, first_wait_s=0.02, longest_wait_s=0.1, patience_s=30)


class Door:
    """A way to a server that can be shut: connections break, and new ones are refused."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (parts.hostname or "", parts.port or 0)
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def shut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def shut_for(self, seconds: float) -> None:
        self.shut()
        threading.Timer(seconds, self.open_again).start()

    def open_again(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start()

    def _start(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                callee = socket.create_connection(self._to)
                self._open += [caller, callee]
                for source, target in ((caller, callee), (callee, caller)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(2**16):
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def door(seaweed: S3Location) -> Iterator[Door]:
    door = Door(seaweed.endpoint_url)
    yield door
    door.shut()


@pytest.fixture
def through(store: ObjectStore, door: Door) -> ObjectStore:
    """The store behind the door."""
    return ObjectStore(replace(store.location, endpoint_url=door.url))


@pytest.fixture
def patient() -> TransferSettings:
    return TransferSettings(TransferLimits(part_bytes=5 * MIB, parts_in_flight=4), PATIENT)


def test_a_store_that_is_started_again_in_the_midst_of_a_pull_is_waited_for(
    door, through, tiny, hub, patient, store, looks
):
    hub.faults.switch_on(Fault("throttled", bytes_per_s=4 * MIB))
    source = HubSource(hub.url, {}, retry=PATIENT)
    left = [(lambda now: now.waiting, door.open_again), (lambda now: now.moved_bytes, door.shut)]

    def look(now: Progress) -> None:
        looks.append(now)
        if left and left[-1][0](now):
            left.pop()[1]()

    manifest = pull_weights(tiny, through, source, look, patient)
    assert verify(manifest, store, lambda look: None) == []
    waiting = [now for now in looks if now.waiting]
    assert any(door.url in now.waiting and "and so on for" in now.waiting for now in waiting)
    assert "; waits: S3 http" in line(waiting[0])


def test_a_store_that_is_away_before_anything_is_asked_of_it_is_waited_for_and_told(
    door, through, tiny, hub, patient, store, looks
):
    told: list[str] = []
    door.shut_for(AWAY_S)
    manifest = pull_weights(
        tiny, through, HubSource(hub.url, {}, retry=PATIENT), looks.append, patient, note=told.append
    )
    assert verify(manifest, store, lambda look: None) == []
    assert told[0].startswith(
        f"S3 {door.url} bucket {store.location.bucket}: did not answer. Trying again in"
    )


@pytest.fixture
def started_again() -> Iterator[ExitStack]:
    """What is started in the midst of a test ends with it."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("away", ["absent", "503"])
def test_a_hub_that_is_started_again_is_waited_for_and_told(
    hub, repository: Repository, tiny, patient, store, looks, away, started_again
):
    def hub_at(port: int | None, cdn_port: int | None) -> StandinHub:
        return StandinHub([repository], port=port or 0, cdn_port=cdn_port or 0)

    told: list[str] = []
    source = HubSource(hub.url, {}, retry=replace(PATIENT, tell=told.append))
    if away == "absent":
        port, cdn_port = (urlsplit(url).port for url in (hub.url, hub.cdn_url))
        hub.stop()
        threading.Timer(AWAY_S, lambda: started_again.enter_context(hub_at(port, cdn_port))).start()
    else:
        hub.faults.switch_on(Fault("unavailable", "api"))
        threading.Timer(AWAY_S, hub.faults.clear).start()
    began = time.monotonic()
    manifest = pull_weights(tiny, store, source, looks.append, patient)
    assert time.monotonic() - began >= AWAY_S / 2
    assert verify(manifest, store, lambda look: None) == []
    assert told[0].startswith("hf://org/tiny@")
    assert hub.url in told[0]


def test_a_store_that_stays_away_fails_with_what_to_do(door, through, tiny, source, settings):
    door.shut()
    began = time.monotonic()
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_ENDPOINT"):
        pull_weights(tiny, through, source, lambda look: None, settings)
    assert time.monotonic() - began < 10
    door.open_again()


class TestRenamed:
    """A gated repository under its old name, at a hub that serves content itself."""

    TOKEN = "hf_of-the-owner"

    @pytest.fixture
    def mirror(self, repository) -> Iterator[StandinHub]:
        repository.gated, repository.tokens = True, frozenset({self.TOKEN})
        with StandinHub([repository], serves_content=True) as mirror:
            mirror.rename("old/tiny", repository.id)
            yield mirror

    def test_it_is_read_with_its_token(self, mirror, repository, store, settings):
        source = HubSource(mirror.url, {"HF_TOKEN": self.TOKEN}, retry=settings.retry)
        at = f"hf://old/tiny@{repository.refs['main']}"
        manifest = pull_weights(
            WeightsRequest(name="tiny", source=at), store, source, lambda look: None, settings
        )
        assert verify(manifest, store, lambda look: None) == []

    def test_its_token_is_named_when_it_is_wrong(self, mirror, repository, store, settings):
        source = HubSource(mirror.url, {"MINE": "hf_other"}, retry=settings.retry)
        at = f"hf://old/tiny@{repository.refs['main']}"
        request = WeightsRequest(name="tiny", source=at, token=SecretRef(env="MINE"))
        with pytest.raises(SourceError, match="token in MINE was not accepted"):
            pull_weights(request, store, source, lambda look: None, settings)


@pytest.mark.parametrize("digits", [1, 2, 6, 7, 12])
def test_a_tag_that_looks_like_the_beginning_of_its_commit_is_a_tag(source, repository, digits):
    commit = repository.refs["main"]
    repository.refs[commit[:digits]] = commit
    assert source.resolve("hf://org/tiny", commit[:digits], None).commit == commit


QUOTING = ["listed bare, quoted in answers", "listed quoted, bare in answers", "weak in answers"]


@pytest.mark.parametrize("how", QUOTING)
def test_a_store_that_quotes_entity_tags_in_one_place_alone_is_read(how, store, settings):
    """And compares a condition as text with what it would answer itself."""
    body, tag = bytes(range(256)) * 256, "0123456789abcdef0123456789abcdef-2"
    listed = tag if how.startswith("listed bare") else f'"{tag}"'
    answered = {QUOTING[0]: f'"{tag}"', QUOTING[1]: tag, QUOTING[2]: f'W/"{tag}"'}[how]

    def answer(asked: Asked) -> Answer:
        if "list-type" in asked.path:
            item = f"<Contents><Key>m/model.bin</Key><Size>{len(body)}</Size><ETag>{listed}</ETag></Contents>"
            page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{item}</ListBucketResult>"
            return Answer(200, page.encode(), {"Content-Type": "application/xml"})
        if asked.headers.get("If-Match", answered) != answered:
            return Answer(412, b"", {"ETag": answered})
        if asked.method == "HEAD":
            return Answer(200, body, {"ETag": answered})
        extent = f"bytes 0-{len(body) - 1}/{len(body)}"
        return Answer(206, body, {"ETag": answered, "Content-Range": extent})

    with answering(answer) as url:
        theirs = S3Location(url, "theirs", "us-east-1", "key", "secret")
        source = S3Source(lambda: theirs, {}, {})
        request = WeightsRequest(name="quoted", source="s3://theirs/m")
        manifest = pull_weights(request, store, source, lambda look: None, settings)
    assert store.get(manifest.prefix + "model.bin") == body
