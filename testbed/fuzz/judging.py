"""What must hold of every answer, and of what all of them leave behind.

Belongs here: pure judgements, each a sentence where it does not hold. Does not: measuring (gateway.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from testbed.fuzz.client import Answer
from testbed.fuzz.requests import Sent

_ENGINES = ("upstream_unreachable", "upstream_error", "upstream_overloaded", "upstream_timeout")
_OF_ENGINES = "The server of "
_NAMED = ("/v1/responses", "/v1/messages")
_ENDS = (
    *(b"response.completed", b"response.incomplete", b"response.failed", b"message_stop"),
    b"[DONE]",
)
_GROWTH_BYTES = 32 * 2**20
_MORE_DESCRIPTORS = 16


def of_answer(sent: Sent, answer: Answer) -> str | None:
    """What is wrong with one answer; None for nothing."""
    if answer.status == 0:
        return None if sent.hangs_up is not None or not sent.is_http else "no answer"
    if sent.may_be_sound and answer.status == 200 and "x-request-id" in answer.headers:
        return _of_sound(sent, answer)
    if not answer.is_whole:
        return "the answer is cut off"
    if answer.status == 200:
        return _of_success(sent, answer) if "x-request-id" in answer.headers else None
    if not sent.is_http and "x-request-id" not in answer.headers and answer.status < 500:
        return None  # the server's own words for what is no HTTP
    return _of_error(sent, answer)


def _of_error(sent: Sent, answer: Answer) -> str | None:
    document = _json(answer.body)
    if isinstance(document, dict) and document.get("type") == "error" and _is_of(sent, "/v1/messages"):
        return _of_anthropics(answer, document)
    if isinstance(document, dict) and "waiting_for" in document:
        return None  # readiness
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or error.keys() != {"message", "type", "param", "code"}:
        return f"HTTP {answer.status} in no shape of the API"
    if not isinstance(error["message"], str) or not isinstance(error["type"], str):
        return f"HTTP {answer.status} whose message or type is no text"
    if answer.status >= 500 and error["code"] not in _ENGINES:
        return f"HTTP {answer.status} of the gateway's own: {error['code']}"
    return None


def _of_anthropics(answer: Answer, document: dict[str, Any]) -> str | None:
    error = document.get("error")
    if document.keys() != {"type", "error", "request_id"} or not isinstance(error, dict):
        return f"HTTP {answer.status} in no shape of the API"
    if not isinstance(error.get("type"), str) or not isinstance(error.get("message"), str):
        return f"HTTP {answer.status} whose message or type is no text"
    if answer.status >= 500 and not error["message"].startswith(_OF_ENGINES):
        return f"HTTP {answer.status} of the gateway's own: {error['message']}"
    return None


def _is_of(sent: Sent, path: str) -> bool:
    """Whether a path, or one below it, is asked for; of what is no HTTP it may be."""
    return not sent.is_http or b" ".join(sent.raw.split(b" ", 2)[1:2]).startswith(path.encode())


def _of_success(sent: Sent, answer: Answer) -> str | None:
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        return None if isinstance(_json(answer.body), dict) else "success with a body that is no JSON object"
    if answer.body.endswith(b"data: [DONE]\n\n"):
        return None
    if any(_is_of(sent, path) for path in _NAMED):
        return _of_named_events(answer)
    last = _json(answer.body.rstrip(b"\n").rpartition(b"data: ")[2])
    error = last.get("error") if isinstance(last, dict) else None
    if not isinstance(error, dict):
        return "a stream that ends with neither [DONE] nor an error"
    return None if error.get("code") in _ENGINES else f"a stream that ends with {error.get('code')}"


def _of_named_events(answer: Answer) -> str | None:
    """One whose last event is not among its ends is an engine's own error, or broke off with an error."""
    last = answer.body.rstrip(b"\n").rpartition(b"\n\n")[2]
    if b"The gateway " in last:
        return f"a stream that ends with {last[-300:]!r}"
    # A message that has its reason to stop is whole, whatever follows it.
    is_end = any(name in last for name in _ENDS) or b"error" in last or b"stop_reason" in answer.body
    return None if is_end else "a stream that ends with neither its last event nor an error"


def _of_sound(sent: Sent, answer: Answer) -> str | None:
    kind = answer.headers.get("content-type", "")
    if not kind.startswith(("application/json", "text/event-stream")):
        return None  # a sound that breaks off is cut off: there is no other way to say so
    if not answer.is_whole:
        return "the answer is cut off"
    return (
        None if b'.done"' in answer.body or b'"finish_reason"' in answer.body else _of_success(sent, answer)
    )


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class Ledger:
    """Answers and the usage events of their requests."""

    answered: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    unanswered: int = 0  # hung up, or no HTTP: recorded or not, as far as they came

    def note(self, answer: Answer) -> None:
        """Take notice of an answer."""
        if (request_id := answer.headers.get("x-request-id")) is not None:
            self.answered.add(request_id)
        elif answer.status == 0:
            self.unanswered += 1

    def record(self, events: Iterable[dict[str, Any]]) -> list[str]:
        """Take notice of events; returns what is wrong with them."""
        wrong = []
        for event in events:
            request_id = event["request_id"]
            if request_id in self.recorded:
                wrong.append(f"two events of {request_id}")
            self.recorded.add(request_id)
            counts = event["input_tokens"], event["cached_tokens"], event["output_tokens"]
            if (
                any(type(count) is not int or not 0 <= count < 2**63 for count in counts)
                or counts[1] > counts[0]
            ):
                wrong.append(f"an event with {counts} tokens")
        return wrong

    def balance(self) -> list[str]:
        """What does not add up once nothing is in flight."""
        wrong = [f"no event of {request_id}" for request_id in sorted(self.answered - self.recorded)]
        if len(self.recorded - self.answered) > self.unanswered:
            wrong.append(
                f"{len(self.recorded - self.answered)} events of {self.unanswered} unanswered requests"
            )
        return wrong


@dataclass(frozen=True, slots=True)
class Standing:
    """What the gateway holds while nobody asks anything."""

    memory_bytes: int
    descriptors: int
    in_flight: int
    reserved_tokens: int


def of_standing(first: Standing, now: Standing) -> list[str]:
    """What has not come back since the first."""
    wrong = []
    if now.in_flight or now.reserved_tokens:
        wrong.append(
            f"{now.in_flight} requests in flight and {now.reserved_tokens} tokens reserved by nobody"
        )
    if now.memory_bytes > first.memory_bytes + _GROWTH_BYTES:
        wrong.append(
            f"memory grew from {first.memory_bytes / 2**20:.0f} to {now.memory_bytes / 2**20:.0f} MiB"
        )
    if now.descriptors > first.descriptors + _MORE_DESCRIPTORS:
        wrong.append(f"descriptors grew from {first.descriptors} to {now.descriptors}")
    return wrong
