"""W3C trace context: what a client says of its trace, what an engine is told, and whether spans are sent.

Belongs here: reading and writing `traceparent` and `tracestate`, and the decision to sample. Pure, but for
chance. Does not: spans (traces.py), which settings there are (slipway.gateway.settings).
https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TRACEPARENT = b"traceparent"
_TRACESTATE = b"tracestate"
# Shorter than most names of headers: two comparisons tell nearly all of them from these two.
_LENGTHS = (len(_TRACESTATE), len(_TRACEPARENT))
_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_STATE = re.compile(rb"[\x20-\x7e\t]+")
# The standard asks for this much to be passed on.
MAX_STATE_BYTES = 512
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which requests have spans: `ratio` of all traces; with `parent_decides` as a client's trace says."""

    ratio: float
    parent_decides: bool

    def takes(self, trace_id: int, parent_sampled: bool | None) -> bool:
        """Whether this trace is sampled; `parent_sampled` is None without a client's trace.

        By the trace's last 7 bytes, as OpenTelemetry's TraceIdRatioBased: all that see a trace agree.
        """
        if self.parent_decides and parent_sampled is not None:
            return parent_sampled
        return trace_id & (2**56 - 1) < self.ratio * 2**56


@dataclass(slots=True)
class Trace:
    """The trace of one request. Ids are numbers; `span` and `upstream` are 0 where no spans are sent."""

    trace_id: int
    parent: int
    is_sampled: bool
    state: str
    flags: int = 0
    span: int = 0
    upstream: int = 0

    @property
    def written_id(self) -> str:
        """The trace's id as logs and collectors write it."""
        return f"{self.trace_id:032x}"

    def headers(self) -> dict[str, str]:
        """What the engine is told: the span that asks it or, where there are none, what the client said."""
        span = self.upstream or self.parent
        parent = {"traceparent": f"00-{self.trace_id:032x}-{span:016x}-{self.flags:02x}"}
        return {**parent, "tracestate": self.state} if self.state else parent


def begun(headers: Iterable[tuple[bytes, bytes]], sampling: Sampling | None) -> Trace | None:
    """The trace of a request with these headers; None where the client has none and no spans are sent.

    Without `sampling`, what the client said goes on as it is.
    """
    said = _said(headers)
    if sampling is None:
        return said
    trace_id = said.trace_id if said is not None else random.getrandbits(128) or 1
    parent_sampled = None if said is None else bool(said.flags & _SAMPLED)
    is_sampled = sampling.takes(trace_id, parent_sampled)
    return Trace(
        trace_id=trace_id,
        parent=said.parent if said is not None else 0,
        is_sampled=is_sampled,
        state=said.state if said is not None else "",
        flags=_SAMPLED if is_sampled else 0,
        span=random.getrandbits(64) or 1,
        upstream=random.getrandbits(64) or 1,
    )


def _said(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """What a client says; None where it says nothing, or what is no trace context."""
    parents, states = [], []
    for name, value in headers:
        if len(name) in _LENGTHS:
            if name == _TRACEPARENT:
                parents.append(value)
            elif name == _TRACESTATE:
                states.append(value)
    if len(parents) != 1:
        return None
    found = _PARENT.fullmatch(parents[0].strip())
    if found is None or (found[1] == b"00" and found[5] is not None):
        return None
    trace_id, parent = int(found[2], 16), int(found[3], 16)
    if not trace_id or not parent:
        return None
    state = b",".join(states)
    if len(state) > MAX_STATE_BYTES or not _STATE.fullmatch(state):
        state = b""
    flags = int(found[4], 16)
    return Trace(trace_id, parent, is_sampled=False, state=state.decode(), flags=flags & _SAMPLED)
