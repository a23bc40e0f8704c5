"""Room for the events of requests in flight: each is recorded once, whenever the process dies."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from slipway.gateway.usage import slots
from slipway.gateway.usage.slots import SLOT_BYTES, Slots
from slipway.gateway.usage.spool import Spool, SpoolError
from slipway.records.usage import new_request_id


def line(identity: str = "", **fields) -> bytes:
    return orjson.dumps({"request_id": identity or new_request_id(), **fields}) + b"\n"


def recorded(spool: Spool) -> list[bytes]:
    return [each for segment in spool.seal() for each in segment.lines()]


class FullDisk(Spool):
    """A spool whose segments take nothing while `is_full`: what a full disk is to them."""

    is_full = False

    def _append(self, line: bytes) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super()._append(line)


@pytest.fixture
def spool(tmp_path: Path):
    spool = FullDisk(tmp_path, "gateway-0")
    yield spool
    spool.close()


def died(spool: Spool) -> Path:
    """What a killed process leaves, in a directory that no process holds."""
    left = spool._directory.parent / "left"
    shutil.copytree(spool._directory, left, dirs_exist_ok=True)
    return left


@pytest.fixture
def spool_in(tmp_path):
    """A spool in a directory beside others."""
    made = []

    def make() -> FullDisk:
        made.append(FullDisk(tmp_path / "spool", "gateway-0"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_has_room_is_recorded_on_a_full_disk_and_nothing_else_is_begun(spool):
    rooms = [spool.reserve() for _ in range(3)]
    lines = [line() for _ in rooms]
    spool.is_full = True
    for room, each in zip(rooms, lines, strict=True):
        room.record(each)
    assert spool.events == 3
    for _ in range(2):
        with pytest.raises(SpoolError, match="503"):
            spool.reserve()
    assert recorded(spool) == []
    spool.is_full = False
    spool.reserve().let_go()
    assert (recorded(spool), spool.events) == (lines, 3)


def test_no_room_is_given_away_twice_and_all_of_it_comes_back(spool):
    rooms = [spool.reserve() for _ in range(2 * slots.GROWTH + 1)]
    assert len({room._slot for room in rooms}) == len(rooms)
    for room in rooms:
        room.save(line())
        room.let_go()
        room.let_go()
    size_bytes = (spool._directory / "in-flight").stat().st_size
    for _ in rooms:
        spool.reserve().record(line())
    assert (spool._directory / "in-flight").stat().st_size == size_bytes
    assert (len(recorded(spool)), spool.events) == (len(rooms), len(rooms))


def test_the_room_of_a_busy_hour_is_given_back_at_the_next_start(spool_in):
    spool = spool_in()
    rooms = [spool.reserve() for _ in range(3 * slots.GROWTH)]
    left = died(spool)
    Spool(left, "gateway-0").close()
    assert (left / "in-flight").stat().st_size == slots.GROWTH * SLOT_BYTES
    rooms[-1].save(line())
    left = died(spool)
    again = Spool(left, "gateway-0")
    assert (again.events, len({again.reserve()._slot for _ in range(4 * slots.GROWTH)})) == (
        1,
        4 * slots.GROWTH,
    )
    again.close()


def test_a_spool_that_cannot_be_opened_says_which_and_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"file/spool: cannot be opened: .*SLIPWAY_GATEWAY_SPOOL"):
        Spool(tmp_path / "file" / "spool", "gateway-0")


def test_of_a_killed_process_the_last_that_was_saved_counts_once(spool_in, tmp_path):
    spool = spool_in()
    saved, unsaved, let_go = spool.reserve(), spool.reserve(), spool.reserve()
    identity = new_request_id()
    saved.save(line(identity, output_tokens=123_456))
    saved.save(line(identity, output_tokens=7))
    let_go.save(line())
    let_go.let_go()
    del unsaved
    left = died(spool)
    for _ in range(3):
        after = Spool(left, "gateway-0")
        assert after.events == 1
        after.close()
    after = Spool(left, "gateway-0")
    assert recorded(after) == [line(identity, output_tokens=7)]
    after.close()


def test_killed_between_the_event_and_its_slot_it_counts_once(spool_in):
    spool = spool_in()
    room, identity = spool.reserve(), new_request_id()
    room.save(line(identity, output_tokens=1))
    before = (spool._directory / "in-flight").read_bytes()
    room.record(line(identity, output_tokens=2))
    left = died(spool)
    (left / "in-flight").write_bytes(before)
    after = Spool(left, "gateway-0")
    assert after.events == 1
    assert recorded(after) == [line(identity, output_tokens=2)]
    after.close()
    assert Slots(left / "in-flight").left == {}


def test_what_waits_in_slots_for_a_full_disk_outlives_the_process(spool_in, monkeypatch):
    spool = spool_in()
    rooms, lines = [spool.reserve() for _ in range(2)], [line(), line()]
    spool.is_full = True
    for room, each in zip(rooms, lines, strict=True):
        room.record(each)
    left = died(spool)
    monkeypatch.setattr(FullDisk, "is_full", True)
    still_full = FullDisk(left, "gateway-0")
    assert (still_full.events, recorded(still_full)) == (2, [])
    still_full.close()
    monkeypatch.setattr(FullDisk, "is_full", False)
    after = FullDisk(left, "gateway-0")
    assert sorted(recorded(after)) == sorted(lines)
    after.close()


def test_a_slot_that_cannot_be_read_is_told_and_used_again(spool_in, capfd):
    spool = spool_in()
    spool.reserve().save(b'{"request_id": 5}\n')
    spool.reserve().save(b"\x01 torn\n")
    left = died(spool)
    after = Spool(left, "gateway-0")
    assert (after.events, recorded(after)) == (0, [])
    after.close()
    assert capfd.readouterr().err.count("unreadable event of a request in flight") == 2
    assert Slots(left / "in-flight").left == {}


def test_a_file_of_slots_that_could_not_grow_is_as_it_was(tmp_path, monkeypatch):
    held = Slots(tmp_path / "slots")

    def takes_a_part(file: int, data: bytes, offset: int) -> int:
        return len(data) // 2

    monkeypatch.setattr(slots.os, "pwrite", takes_a_part)
    with pytest.raises(OSError, match="no room"):
        held.take()
    monkeypatch.undo()
    assert (tmp_path / "slots").stat().st_size == 0
    assert held.take() == 0
    held.close()


def test_an_event_with_the_longest_names_fits_into_a_slot():
    from slipway.gateway.api.bodies import MAX_MODEL_LENGTH
    from slipway.records.usage import UsageEvent

    name, worst = 255, "\x01"  # six bytes each in JSON
    event = UsageEvent(
        new_request_id(), "2026-01-31T09:00:00.000+00:00", "o" * 63, worst * name, "k" * 40,
        worst * MAX_MODEL_LENGTH, "d" * 63, "r" * 63, "text-generation", True, 2**53, 2**53, 2**53,
        "server_error", worst * 64, 2**53, 2**53, 2**53, False, 2, "engine",
        2**53, 2**53, 2**53, 2**53, 2**53,
    )  # fmt: skip
    assert len(event.encode()) < SLOT_BYTES


_SERVES = """
import sys
from pathlib import Path
import orjson
from slipway.gateway.usage.spool import Spool
from slipway.records.usage import new_request_id

spool = Spool(Path(sys.argv[1]), "gateway-0")
print("ready", flush=True)
number = 0
while True:
    number += 1
    rooms = {new_request_id(): spool.reserve() for _ in range(3)}
    for tokens in (1, 2):
        for identity, room in rooms.items():
            room.save(orjson.dumps({"request_id": identity, "tokens": tokens}) + b"\\n")
    for identity, room in rooms.items():
        room.record(orjson.dumps({"request_id": identity, "tokens": 3}) + b"\\n")
        print(identity, flush=True)
    if number % 50 == 0:
        spool.seal()
"""


def test_killed_at_any_moment_each_request_is_recorded_once(tmp_path):
    """What it said to be recorded is there with its last count; all others are there once at most."""
    chance, acknowledged = random.Random(3), []
    for _ in range(4):
        serving = subprocess.Popen(
            [sys.executable, "-c", _SERVES, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert serving.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.05))
        serving.kill()
        acknowledged += [line.strip() for line in serving.stdout if line.endswith("\n")]
        serving.wait()
    spool = Spool(tmp_path, "gateway-0")
    events = [orjson.loads(line) for line in recorded(spool)]
    assert spool.events == len(events)
    spool.close()
    counted = Counter(event["request_id"] for event in events)
    assert set(counted.values()) == {1}
    tokens = {event["request_id"]: event["tokens"] for event in events}
    assert acknowledged and {tokens[identity] for identity in acknowledged} == {3}
    assert len(counted) - len(acknowledged) <= 4 * 3
