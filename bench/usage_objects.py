"""Usage objects of one busy hour, as gateways ship them: many small ones, of many orgs, keys and deployments.

Belongs here: making them, the same ones each time, and writing them to a store.
Does not: reading them (rollup_once.py), targets (metering.py).
"""

from __future__ import annotations

import multiprocessing
import random
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from slipway.records.usage import object_key

if TYPE_CHECKING:
    from slipway.objectstore import ObjectStore

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
DEPLOYMENTS, ORGS, KEYS = 200, 2_000, 20_000

_WRITERS = 8
_AT_ONCE = 200
_STATUSES = ("success",) * 95 + ("cancelled",) * 3 + ("server_error", "limited")
_LINE = (
    '{{"request_id":"{id}","ts":"{ts}","org":"org-{org}","user":"user-{user}","api_key":"key_{key:016x}",'
    '"model":"model-{deployment}","deployment":"model-{deployment}","replica":"gateway-{replica}",'
    '"task":"text-generation","stream":{stream},"input_tokens":{input},"cached_tokens":{cached},'
    '"output_tokens":{output},"status":"{status}","error_type":null,"ttft_us":{ttft},"duration_us":{duration},'
    '"max_gap_us":{gap},"cold_start":false,"attempt":1}}\n'
)


def deployment(number: int) -> str:
    """The name of one of the deployments."""
    return f"model-{number}"


def org(number: int) -> str:
    """The name of one of the orgs."""
    return f"org-{number}"


@dataclass(frozen=True)
class Volume:
    """How much of it, in which hour: one event in a hundred is shipped twice."""

    objects: int
    events_each: int
    hour: datetime = HOUR

    @property
    def events(self) -> int:
        """All of them, without copies."""
        return self.objects * self.events_each

    @property
    def lines(self) -> int:
        """All of them, with copies."""
        return self.events + self.objects * _copies(self)


def write(store: ObjectStore, volume: Volume) -> None:
    """Make and write all objects, with every core."""
    numbers = range(0, volume.objects, _AT_ONCE)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as makers:
        making = partial(_some, volume)
        with ThreadPoolExecutor(_WRITERS) as pool:
            for made in makers.map(making, numbers):
                for _ in pool.map(lambda each: store.put(*each), made):
                    pass


def one(volume: Volume) -> tuple[str, bytes]:
    """Key and body of the first object."""
    return _object(volume, 0)


def _some(volume: Volume, first: int) -> list[tuple[str, bytes]]:
    """Key and body of the objects from one on."""
    return [_object(volume, number) for number in range(first, min(first + _AT_ONCE, volume.objects))]


def _object(volume: Volume, number: int) -> tuple[str, bytes]:
    replica = number % 16
    lines = _lines(number, volume, replica)
    packed = zlib.compressobj(6, zlib.DEFLATED, 31)
    body = packed.compress("".join(lines).encode()) + packed.flush()
    return object_key(volume.hour, f"gateway-{replica}", f"{number:08d}"), body


def _copies(volume: Volume) -> int:
    """How many events of each object are in it twice."""
    return max(1, volume.events_each // 100)


def _lines(number: int, volume: Volume, replica: int) -> list[str]:
    chance = random.Random(number)
    pick, draw = chance.random, chance.getrandbits
    start_ms = round(volume.hour.timestamp() * 1000) + number * 3_600_000 // volume.objects
    lines = []
    for _ in range(volume.events_each):
        milliseconds = min(start_ms + int(pick() * 1000), round(volume.hour.timestamp() * 1000) + 3_599_999)
        key = int(pick() * KEYS)
        digits = f"{milliseconds:012x}7{draw(12):03x}{8 << 60 | draw(60):016x}"
        second, thousandth = divmod(milliseconds % 3_600_000, 1000)
        input_tokens, output_tokens = int(pick() * 2000), 2 + int(pick() * 500)
        ttft = 20_000 + int(pick() * 900_000)
        lines.append(
            _LINE.format(
                id=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
                ts=f"{volume.hour:%Y-%m-%dT%H}:{second // 60:02d}:{second % 60:02d}.{thousandth:03d}+00:00",
                org=key % ORGS, user=key % (ORGS * 2), key=key,
                deployment=(key * 7 + int(pick() * 3)) % DEPLOYMENTS,
                replica=replica, stream="true" if pick() < 0.8 else "false", input=input_tokens,
                cached=input_tokens // 3, output=output_tokens, status=_STATUSES[int(pick() * 100)],
                ttft=ttft, duration=ttft + output_tokens * (8_000 + int(pick() * 20_000)),
                gap=30_000 + int(pick() * 9_000),
            )
        )  # fmt: skip
    return lines + lines[: _copies(volume)]
