"""The log's writer: who logs never waits, and what is missing is counted and said."""

import fcntl
import logging
import os
import threading
import time

import pytest

from slipway.gateway.telemetry import log
from slipway.gateway.telemetry.log_writer import LogWriter


@pytest.fixture
def pipe():
    """(reading, writing) ends of a pipe; closed afterwards."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def said(count):
    return b"%d dropped\n" % count


def read_lines(end, until):
    """Lines from the reading end until one of them is `until`."""
    read = b""
    while until not in read.splitlines():
        read += os.read(end, 1 << 20)
    return read.splitlines()


def test_lines_come_out_in_order_and_whole(pipe):
    writer = LogWriter(pipe[1], said)
    lines = [b"%d" % number for number in range(5_000)]
    for line in lines:
        writer.put(line + b"\n")
    assert read_lines(pipe[0], b"4999") == lines
    assert writer.flush(10)
    assert writer.dropped == 0


def test_a_reader_that_stands_still_holds_nobody_up_and_is_told_what_it_missed(pipe):
    writer = LogWriter(pipe[1], said, max_waiting_bytes=100_000)
    line, count = b"x" * 999 + b"\n", 1_000
    began = time.monotonic()
    for _ in range(count):
        writer.put(line)
    assert time.monotonic() - began < 5
    assert not writer.flush(0.05)
    held = fcntl.fcntl(pipe[1], fcntl.F_GETPIPE_SZ) + 100_000
    assert count - held / 1_000 - 1 <= writer.dropped < count
    reader = threading.Thread(target=lambda: read.extend(read_lines(pipe[0], b"end")))
    read: list[bytes] = []
    reader.start()
    assert writer.flush(30)
    writer.put(b"end\n")
    reader.join(30)
    told = [int(each.split()[0]) for each in read if each.endswith(b" dropped")]
    assert sum(told) == writer.dropped
    assert read.count(line[:-1]) == count - writer.dropped


def test_a_reader_that_went_away_is_nobodys_trouble():
    reading, writing = os.pipe()
    writer = LogWriter(writing, said)
    os.close(reading)
    for _ in range(1_000):
        writer.put(b"x" * 1_000 + b"\n")
    assert writer.flush(10)
    os.close(writing)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe):
    os.set_blocking(pipe[1], False)
    writer = LogWriter(pipe[1], said)
    lines = [b"%05d" % number * 100 for number in range(1_000)]
    for line in lines:
        writer.put(line + b"\n")
    assert read_lines(pipe[0], lines[-1]) == lines


def test_many_threads_write_whole_lines(pipe):
    writer = LogWriter(pipe[1], said)
    lines = {b"%d-%d" % (thread, number) for thread in range(4) for number in range(500)}

    def work(thread):
        for number in range(500):
            writer.put(b"%d-%d\n" % (thread, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.put(b"end\n")
    assert set(read_lines(pipe[0], b"end")) - {b"end"} == lines


def test_a_librarys_record_that_cannot_be_formatted_is_logged_as_it_is(monkeypatch):
    written = []
    monkeypatch.setattr(log, "write", lambda level, message, **_: written.append((level, message)))
    log.JsonHandler().emit(logging.LogRecord("lib", logging.WARNING, "", 0, "%d of %d", ("x",), None))
    assert written == [("warning", "%d of %d")]
