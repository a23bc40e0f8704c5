"""Faults on demand: what the stand-in hub does wrong when a test asks for it.

Belongs here: every kind of fault, where it strikes, how often, and the switchboard that deals them out.
Does not: carrying one out (api.py answers, bodies.py sends).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Door = Literal["api", "resolve", "cdn", "xet-token"]
Kind = Literal[
    "corrupted",  # one byte of the body is flipped; the size stays right
    "dropped",  # the connection closes after `after_bytes` of a body
    "truncated",  # a well-formed answer that holds only `after_bytes` of what was asked for
    "wrong-length",  # sizes in the headers are one byte more than the listing said
    "rate-limited",  # 429 with Retry-After: `seconds`
    "out-of-quota",  # 429 with the Hub's RateLimit field, reset in `seconds`, and no Retry-After
    "unavailable",  # 503
    "expired",  # the redirect's signature is refused with `status`, as after its expiry
    "unranged",  # Range is ignored: 200 and the whole file
    "portal",  # 200 and the page of somebody else, as a captive portal answers
    "other-json",  # 200 and `body`, which no hub says
    "foreign-etag",  # a proxy's entity tag in place of the hub's; with `body` empty none at all
    "no-head",  # 405 to HEAD
    "vanished",  # 404 though it was listed
    "latency",  # the answer waits for `seconds`
    "throttled",  # each connection gets `bytes_per_s`
]


@dataclass(frozen=True)
class Fault:
    """One fault at one door, for paths that match the glob, `times` times (None: until cleared)."""

    kind: Kind
    door: Door = "cdn"
    path: str = "*"
    times: int | None = None
    after_bytes: int = 0
    seconds: float = 0.0
    bytes_per_s: float = 0.0
    status: int = 403
    body: str = ""

    def strikes(self, door: Door, path: str) -> bool:
        """True when this fault is meant for a request of that path at that door."""
        return door == self.door and fnmatchcase(path, self.path)


class Switchboard:
    """The faults that are on. Safe to change while requests are served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: list[tuple[Fault, int | None]] = []

    def switch_on(self, fault: Fault) -> None:
        """Add a fault to those that are on."""
        with self._lock:
            self._on.append((fault, fault.times))

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._on.clear()

    def take(self, door: Door, path: str) -> dict[Kind, Fault]:
        """The faults that strike this request, by kind; each is one time nearer to its end."""
        with self._lock:
            struck = {fault.kind: fault for fault, _ in self._on if fault.strikes(door, path)}
            self._on = [
                (fault, left - 1 if left is not None and fault in struck.values() else left)
                for fault, left in self._on
            ]
            self._on = [(fault, left) for fault, left in self._on if left is None or left > 0]
            return struck
