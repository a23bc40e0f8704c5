import gzip
import os
import resource
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import uuid_utils

from slipway.gateway.usage.shipper import pack
from slipway.gateway.usage.spool import MAX_SEGMENT_BYTES, Segment, Spool, SpoolError
from slipway.records import usage


def line(at: datetime | None = None) -> bytes:
    identity = uuid_utils.uuid7().hex
    if at is not None:
        identity = f"{int(at.timestamp() * 1000):012x}{identity[12:]}"
    return orjson.dumps({"request_id": str(uuid.UUID(identity))}) + b"\n"


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool(tmp_path, "gateway-0")
    yield spool
    spool.close()


def test_an_appended_event_is_on_disk_when_append_returns(spool, tmp_path):
    spool.append(line())
    assert sum(len(Segment(path).lines()) for path in tmp_path.glob("*.ndjson")) == spool.events == 1


def test_a_sealed_segment_never_changes(spool):
    spool.append(line())
    (sealed,) = spool.seal()
    before = sealed.path.read_bytes()
    spool.append(line())
    assert sealed.path.read_bytes() == before
    assert len(spool.seal()) == 2


def test_segments_are_sealed_by_size(tmp_path):
    spool = Spool(tmp_path, "gateway-0")
    third = b"x" * (MAX_SEGMENT_BYTES // 3) + b"\n"
    for _ in range(4):
        spool.append(third)
    assert [len(segment.lines()) for segment in spool.seal()] == [3, 1]
    assert spool.events == 4


def test_dropping_a_segment_forgets_its_events(spool):
    spool.append(line())
    (sealed,) = spool.seal()
    spool.drop(sealed, 1)
    assert (spool.events, spool.seal()) == (0, [])


def test_a_second_process_is_refused_and_told_why(spool, tmp_path):
    code = f"""
from slipway.gateway.usage.spool import Spool; from pathlib import Path; Spool(Path({str(tmp_path)!r}), "b")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another gateway uses it" in ended.stderr


def test_what_a_killed_process_left_is_found_and_its_torn_last_line_cut(tmp_path):
    left = Spool(tmp_path, "gateway-0")
    left.append(line())
    left.append(line())
    (path,) = tmp_path.glob("*.ndjson")
    os.truncate(path, path.stat().st_size - 5)
    left.close()
    spool = Spool(tmp_path, "gateway-0")
    (sealed,) = spool.seal()
    assert spool.events == len(sealed.lines()) == 1


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path):
    """A file size limit stands in for a full disk: write(2) takes a part, then fails, just so."""
    code = f"""
import resource, signal
from pathlib import Path
from slipway.gateway.usage.spool import Spool, SpoolError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path({str(tmp_path)!r}), "gateway-0")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
written = 0
try:
    while True:
        spool.append(b"x" * 299 + b"\\n")
        written += 1
except SpoolError as error:
    print(written, spool.events, "Free space" in str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
spool.append(b"y" * 299 + b"\\n")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["3", "3", "True"]
    (path,) = tmp_path.glob("*.ndjson")
    assert [each[:1] for each in Segment(path).lines()] == [b"x", b"x", b"x", b"y"]


def test_a_directory_that_cannot_be_written_refuses_events(tmp_path):
    spool = Spool(tmp_path / "spool", "gateway-0")
    (tmp_path / "spool").rename(tmp_path / "moved")
    with pytest.raises(SpoolError, match="503"):
        spool.append(line())


def test_a_segment_becomes_one_object_per_hour_and_always_the_same(spool):
    hour = datetime(2026, 1, 31, 9, tzinfo=UTC)
    events = [line(hour + timedelta(minutes=59)), line(hour + timedelta(minutes=60)), line(hour)]
    for event in events:
        spool.append(event)
    (segment,) = spool.seal()
    parcel = pack(segment)
    assert {key: gzip.decompress(body) for key, body in parcel.objects.items()} == {
        usage.object_key(hour, "gateway-0", segment.sequence): events[0] + events[2],
        usage.object_key(hour + timedelta(hours=1), "gateway-0", segment.sequence): events[1],
    }
    assert pack(segment) == parcel


def test_a_line_that_is_no_event_is_counted_and_the_others_are_shipped(spool):
    for each in (line(), b"\x00\x00\x00\n", b'{"request_id": 5}\n', b"[]\n", line()):
        spool.append(each)
    (segment,) = spool.seal()
    parcel = pack(segment)
    assert (parcel.events, parcel.unreadable) == (2, 3)
    spool.drop(segment, 5, damaged=True)
    assert spool.seal() == []
    assert segment.path.with_suffix(".damaged").exists()


def test_nothing_is_lost_between_one_thread_that_appends_and_one_that_ships(spool):
    shipped: list[bytes] = []
    appended = [line() for _ in range(20_000)]
    done = threading.Event()

    def ship() -> None:
        while True:
            last = done.is_set()
            for segment in spool.seal():
                lines = segment.lines()
                shipped.extend(lines)
                spool.drop(segment, len(lines))
            if last:
                return

    shipper = threading.Thread(target=ship)
    shipper.start()
    for each in appended:
        spool.append(each)
    done.set()
    shipper.join()
    assert shipped == appended
    assert spool.events == 0


def test_a_replica_name_with_dashes_stays_whole(tmp_path):
    spool = Spool(tmp_path, "eu-west-1")
    spool.append(line())
    assert spool.seal()[0].replica == "eu-west-1"
