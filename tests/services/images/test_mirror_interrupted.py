"""Mirroring that is killed, or whose registries are: the next one moves only what is missing."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from slipway.artifacts.errors import SourceUnavailableError
from slipway.artifacts.images.errors import TargetError
from slipway.artifacts.images.mirror import mirror
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.environment import Environment
from testbed.registries.made_images import sha256

MIRROR = """
import sys
from pathlib import Path
from slipway.catalog.documents import Settings
from slipway.environment import Environment, S3Location
from slipway.artifacts.images import mirror as mirroring
from slipway.artifacts.images.registries import Registries
from slipway.objectstore import ObjectStore

mirroring.BLOBS_IN_FLIGHT = 1
request, settings, *location = sys.argv[1:]
registries = Registries(Environment.load(), Settings.model_validate_json(settings))
store = ObjectStore(S3Location(*location))
request = mirroring.ImageRequest.model_validate_json(request)
mirroring.mirror(request, store, registries, lambda look: None)
"""


@pytest.fixture
def large(maker) -> dict[str, bytes]:
    """An image of one layer of 24 MB and eight of 1 MB; returns the layers by digest."""
    layers = tuple(maker.draw.randbytes(size) for size in (24_000_000, *[1_000_000] * 8))
    maker.image(tag="v1", layers=layers)
    return {sha256(layer): layer for layer in layers}


@pytest.fixture
def mirroring(large, request_for, settings, store, variables, tmp_path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that mirrors the image, one blob at a time, the largest first."""
    location = [value for value in vars(store.location).values() if value is not None]
    arguments = [request_for().model_dump_json(), settings.model_dump_json(), *location]
    process = subprocess.Popen(
        [sys.executable, "-c", MIRROR, *arguments], env={**variables, "SLIPWAY_HOME": str(tmp_path)}
    )
    yield process
    process.kill()
    process.wait()


def test_killed_in_the_middle_only_missing_blobs_move_again(
    mirroring, large, target, records, run_mirror, request_for, read_back
):
    deadline = time.monotonic() + 90
    while not (there := [digest for digest in large if target.blob_file(digest).exists()]):
        assert mirroring.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    mirroring.kill()
    assert mirroring.wait() == -9
    assert records.all() == []

    there = [digest for digest in large if target.blob_file(digest).exists()]
    assert there and len(there) < len(large)
    mirrored = run_mirror(request_for())
    assert mirrored.moved_bytes <= mirrored.record.size_bytes - sum(len(large[each]) for each in there)
    assert sha256(read_back(mirrored.record, "v1")) == mirrored.record.digest


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_registry_that_is_killed_and_comes_back_only_costs_time(
    side, request, large, store, settings, variables, tmp_path, request_for, read_back
):
    server = request.getfixturevalue(side)
    patient = Registries(
        Environment(variables, tmp_path),
        settings,
        RetryPolicy(attempts=90, first_wait_s=0.1, longest_wait_s=1),
    )
    begun = threading.Event()

    def away() -> None:
        begun.wait(90)
        server.stop()
        time.sleep(0.3)
        server.start()

    outage = threading.Thread(target=away)
    outage.start()
    watch = threading.Thread(target=_set_when_uploading, args=(request.getfixturevalue("target"), begun))
    watch.start()
    record = mirror(request_for(), store, patient, lambda look: None).record
    watch.join()
    outage.join()
    assert sha256(read_back(record, "v1")) == record.digest


def test_a_registry_that_stays_away_leaves_no_record_and_the_next_run_completes(
    large, target, records, run_mirror, request_for, read_back
):
    begun = threading.Event()
    watch = threading.Thread(target=_set_when_uploading, args=(target, begun))
    killer = threading.Thread(target=lambda: (begun.wait(90), target.stop()))
    watch.start()
    killer.start()
    with pytest.raises(SourceUnavailableError, match="Run this again when it is back"):
        run_mirror(request_for())
    killer.join()
    watch.join()
    assert records.all() == []
    target.start()
    record = run_mirror(request_for()).record
    assert sha256(read_back(record, "v1")) == record.digest


def test_two_at_a_time_do_not_disturb_each_other(large, run_mirror, request_for, read_back):
    found = []
    threads = [threading.Thread(target=lambda: found.append(run_mirror(request_for()))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.record.digest for each in found}) == 1 and len(found) == 2
    assert sha256(read_back(found[0].record, "v1")) == found[0].record.digest


@pytest.mark.parametrize("times", [1, 4])
def test_a_blob_that_goes_before_its_manifest_comes_is_brought_again(
    times, large, target, records, store, registries, request_for, read_back
):
    """As when a collection in the registry removes it, or another run writes the same link at that moment."""
    gone = []

    def forget(look) -> None:
        links = list((target.root / "storage").rglob("_layers/sha256/*/link"))
        if look.done_bytes == look.total_bytes and len(links) == len(large) + 1 and len(gone) < times:
            gone.append(links[0])
            links[0].unlink()

    if times > 1:
        with pytest.raises(TargetError, match=r"blob unknown.*Run this again"):
            mirror(request_for(), store, registries, forget)
        assert len(gone) == times and records.all() == []
        return
    record = mirror(request_for(), store, registries, forget).record
    assert len(gone) == 1
    assert sha256(read_back(record, "v1")) == record.digest


def _set_when_uploading(target, begun: threading.Event) -> None:
    """Set the event as soon as an upload has bytes."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if any(path.exists() and path.stat().st_size for path in _files(target)):
            break
        time.sleep(0.001)
    begun.set()


def _files(target):
    return list((target.root / "storage").rglob("_uploads/*/data"))
