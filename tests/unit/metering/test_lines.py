"""What a line of a usage object must be: judged by the SQL that reads it, in a DuckDB in memory."""

import gzip
import random
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from slipway.metering.events import FetchedObject, UnreadableObjectError, unpack
from slipway.metering.reading import read, scratch
from slipway.metering.warehouse import bound, sql
from slipway.objectstore import StoredObject

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
_draw = random.Random(7)  # the lines are names of tests, which must not change
IN_HOUR = round(HOUR.timestamp() * 1000) + 1

Judge = Callable[..., list[str | None]]


def uuid_at(milliseconds: int, version: int = 7) -> str:
    digits = f"{(milliseconds << 80) | (version << 76) | (2 << 62) | _draw.getrandbits(62):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def line(**changes: Any) -> bytes:
    fields = {
        "request_id": uuid_at(IN_HOUR), "ts": "2026-03-10T09:00:00.001Z", "org": "acme", "user": "ann",
        "api_key": "k", "model": "chat", "deployment": "chat", "replica": "g", "task": "text-generation",
        "stream": True, "input_tokens": 10, "cached_tokens": 3, "output_tokens": 5, "status": "success",
        "error_type": None, "ttft_us": 5, "duration_us": 9, "max_gap_us": None, "cold_start": False,
        "attempt": 1,
    }  # fmt: skip
    return orjson.dumps({**fields, **changes})


def without(field: str) -> bytes:
    return orjson.dumps({name: value for name, value in orjson.loads(line()).items() if name != field})


@pytest.fixture
def judge() -> Judge:
    """The reason of each line, None where it counts."""
    import duckdb

    def judged(*lines: bytes) -> list[str | None]:
        with duckdb.connect() as connection, scratch(Path("never-on-disk")) as file:
            bound(connection, 2**28)
            connection.execute(sql("chunk_begin"))
            connection.execute("INSERT INTO usage_object VALUES (0, $hour, 'key')", {"hour": HOUR})
            text = b"".join(item + b"\n" for item in lines)
            read(
                connection, [FetchedObject(0, HOUR, StoredObject("key", len(text), "tag"), text, None)], file
            )
            reasons = dict(connection.execute("SELECT line_number, reason FROM unreadable").fetchall())
            (counted,) = connection.execute("SELECT count(*) FROM request").fetchone() or (None,)
            assert counted == len(lines) - len(reasons)
            return [reasons.get(number) for number in range(1, 1 + len(lines))]

    return judged


@pytest.mark.parametrize(
    "good",
    [
        line(),
        line(ttft_us=None, error_type="timeout"),
        line(ts="2026-03-10T09:00:00+00:00"),
        line(a_field_of_a_later_version={"nested": [1]}),
        line(input_tokens=0, cached_tokens=0, output_tokens=0),
        line(org="straße-東京"),
        line(org="5", user="true", api_key="[x", deployment="{x}", model="-1.5"),
        line(deployment="", model='any "text" \\ of a tenant\n'),
        line(input_tokens=10.0),
        line(input_tokens=2**31 - 1, cached_tokens=2**31 - 1, output_tokens=2**31 - 1),
        line(ttft_us=2**53, duration_us=2**53),
        line(counted_by="bound"),
        line(input_audio_ms=2**31 - 1, output_audio_ms=0, characters=None, documents=7, searches=1),
    ],
)
def test_a_good_line_counts(judge: Judge, good: bytes) -> None:
    assert judge(good) == [None]


def test_a_batch_is_read_alike_at_once_and_line_by_line() -> None:
    """One odd line sends its whole batch the slow way."""
    lines = b"".join(
        line(stream=n % 2 == 0, cold_start=n % 3 == 0, status=("success", "limited")[n % 5 == 0],
             ttft_us=None if n % 7 == 0 else n, model="" if n % 11 == 0 else f"m-{n}", duration_us=n * 10**9,
             deployment="" if n % 13 == 0 else "chat", counted_by=None if n % 2 else "engine",
             **({"characters": n, "searches": 1} if n % 3 else {})) + b"\n"
        for n in range(500)
    )  # fmt: skip

    def rows(text: bytes) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect() as connection, scratch(Path("never-on-disk")) as file:
            bound(connection, 2**28)
            connection.execute(sql("chunk_begin"))
            connection.execute("INSERT INTO usage_object VALUES (0, $hour, 'key')", {"hour": HOUR})
            stored = StoredObject("key", len(text), "tag")
            read(connection, [FetchedObject(0, HOUR, stored, text, None)], file)
            return connection.execute("FROM request ORDER BY ALL").fetchall()

    at_once, line_by_line = rows(lines), rows(lines + b"{}\n")
    assert len(at_once) == 500 and at_once == line_by_line


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line()[:80], "not a line of JSON"),
        (b"", "not a line of JSON"),
        (b"[1, 2]", "request_id = NULL: not a UUIDv7"),
        (line()[:-1] + b', "org": "\xff"}', "not a line of JSON"),
        (line() + line(), "not a line of JSON"),
        (line(request_id="req_123"), "request_id = req_123: not a UUIDv7"),
        (line(request_id=uuid_at(IN_HOUR, version=4)), "not a UUIDv7"),
        (line(request_id=uuid_at(IN_HOUR - 2)), "another hour"),
        (line(request_id=uuid_at(IN_HOUR + 3_600_000)), "another hour"),
        (line(ts="2026-03-10T10:00:00+01:00"), "ts = 2026-03-10T10:00:00+01:00: not an instant in UTC"),
        (line(ts="2026-03-10T09:00:00"), "not an instant in UTC"),
        (line(ts="yesterdayZ"), "not an instant in UTC"),
        (line(status="ok"), "status = ok: unknown"),
        (line(input_tokens=10.6), "input_tokens = 10.6: not a whole number"),
        (line(output_tokens=-1), "output_tokens = -1: negative"),
        (line(cached_tokens="many"), 'cached_tokens = "many": not a number'),
        (line(input_tokens=None), "input_tokens: missing"),
        (line(output_tokens=1e300), "larger than any count"),
        (
            line()[:-1].replace(b'"duration_us":9', b'"duration_us":NaN') + b"}",
            "duration_us = NaN: not a number",
        ),
        (line(output_tokens=2**31), "output_tokens = 2147483648: larger than any count"),
        (line(input_tokens=10**19), "input_tokens = 10000000000000000000: larger than any count"),
        (line(input_tokens=True), "input_tokens = true: not a number"),
        (line(output_tokens=False), "output_tokens = false: not a number"),
        (line(input_tokens="1_0"), 'input_tokens = "1_0": not a number'),
        (line(input_tokens="10"), 'input_tokens = "10": not a number'),
        (line(duration_us=[9]), "duration_us = [9]: not a number"),
        (line(duration_us={}), "duration_us = {}: not a number"),
        (line(output_tokens=1e-7), "not a whole number"),
        (line(ttft_us=True), "ttft_us = true: not a number"),
        (line(stream=1), "stream = 1: neither true nor false"),
        (line(stream="true"), 'stream = "true": neither true nor false'),
        (line(cold_start=None), "cold_start: missing"),
        (line(org=5), "org = 5: not a text"),
        (line(user=True), "user = true: not a text"),
        (line(model=["chat"]), 'model = ["chat"]: not a text'),
        (line(api_key={"a": 1}), "not a text"),
        (line(status=["success"]), "unknown"),
        (b"{" * 5_000, "not a line of JSON"),
        (line(cached_tokens=11), "cached_tokens = 11: larger than input_tokens = 10"),
        (line(ttft_us="soon"), 'ttft_us = "soon": not a number'),
        (line(ttft_us=0.5), "ttft_us = 0.5: not a whole number"),
        (line(org=None), "org: missing"),
        (line(input_audio_ms=-1), "input_audio_ms = -1: negative"),
        (line(output_audio_ms=0.5), "output_audio_ms = 0.5: not a whole number"),
        (line(characters=2**31), "characters = 2147483648: larger than any count"),
        (line(documents="3"), 'documents = "3": not a number'),
        (line(searches=True), "searches = true: not a number"),
        (line(searches=[1]), "searches = [1]: not a number"),
        *((without(name), f"{name}: missing") for name in ("user", "api_key", "deployment", "stream")),
    ],
)
def test_a_bad_line_is_told_apart_and_spoils_no_other(judge: Judge, bad: bytes, reason: str) -> None:
    before, found, after = judge(line(), bad, line())
    assert before is None and after is None
    assert found is not None and reason in found


@pytest.mark.parametrize("body", [b"", b"\x1f\x8b", b"plain text", b"\x00" * 40])
def test_what_is_no_gzip_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableObjectError):
        unpack(body)


def mutated(chance: random.Random) -> bytes:
    """One or two gzip members, whole or with some bytes or bits of them changed, added or cut off."""
    members = [gzip.compress(b'{"a":1}\n' * number, mtime=0) for number in (1, 50, 4_000)]
    body = bytearray(b"".join(chance.choice(members) for _ in range(chance.choice((1, 1, 2)))))
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(body))
        change = chance.choice(("bit", "bit", "header", "cut", "add"))
        if change == "cut":
            del body[at + 1 :]
        elif change == "add":
            body[at:at] = chance.randbytes(2)
        else:
            body[at if change == "bit" else at % 10] ^= 1 << chance.randrange(8)
    return bytes(body)


def by_zlib(body: bytes) -> bytes | None:
    """What zlib makes of all members; None for what it refuses."""
    text = b""
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            text += member.decompress(body)
        except zlib.error:
            return None
        if not member.eof:
            return None
        body = member.unused_data
    return text if not text or text.endswith(b"\n") else text + b"\n"


def test_what_was_spoilt_on_the_way_is_unreadable_wherever_zlib_says_so() -> None:
    chance = random.Random(5)
    found = {True: 0, False: 0}
    for _ in range(2_000):
        body = mutated(chance)
        try:
            text: bytes | None = unpack(body)
        except UnreadableObjectError:
            text = None
        assert text == (by_zlib(body) or None), body.hex()
        found[text is None] += 1
    assert min(found.values()) > 200
