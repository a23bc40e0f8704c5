"""Every way in which a fake engine's answer is wrong, as the bytes on the wire.

Belongs here: answers, chosen and made by a random generator. Does not: sockets (fake_rogue_engine.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, 1, 7, -1, 2**31, 2**63, 2**64, 10**30, 1.5, 1e300, True, None, "1", "1_0", "x", [], [1], {}, {"a": 1},
)  # fmt: skip
JUNK: tuple[Any, ...] = (*NUMBERS, "", "text", [None], [[]], [{}], {"x": None}, "\u0000", "\u2028", "é" * 50)
_KEYS = (
    "choices",
    "usage",
    "model",
    "id",
    "delta",
    "message",
    "index",
    "finish_reason",
    "content",
    "error",
    "timings",
)


def deep(levels: int) -> str:
    """JSON that nests."""
    return "[" * levels + "]" * levels


def usage(rng: random.Random) -> Any:
    """A usage object, more or less."""
    if rng.random() < 0.15:
        return rng.choice(JUNK)
    whole: dict[str, Any] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        if rng.random() < 0.3:
            whole[name] = rng.choice(NUMBERS)
        elif rng.random() < 0.1:
            del whole[name]
    if rng.random() < 0.3:
        whole["prompt_tokens_details"] = rng.choice([{"cached_tokens": rng.choice(NUMBERS)}, *JUNK])
    if rng.random() < 0.1:
        whole = {"prompt_tokens_details": {"cached_tokens": 4}}
    return whole


def mutated(rng: random.Random, value: Any) -> Any:
    """The value with something in it that is another."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.random()
        if kind < 0.15:
            return {name: other for name, other in value.items() if name != key}
        if kind < 0.3:
            return {**value, rng.choice(_KEYS): rng.choice(JUNK)}
        return {**value, key: mutated(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], mutated(rng, value[at]), *value[at + 1 :]]
    return rng.choice(JUNK)


def text_of(rng: random.Random, value: Any) -> str:
    """The value as JSON, now and then very deep."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.02:
        text = text[:-1] + f', "deep": {deep(rng.choice((100, 253, 254, 300, 1100)))}' + "}"
    return text


def whole(rng: random.Random) -> bytes:
    """The body of an answer in one piece."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hi"},
        "text": "hi",
        "finish_reason": "stop",
    }
    body: Any = {"id": "1", "object": "chat.completion", "created": 1, "model": "other", "choices": [choice]}
    if rng.random() < 0.9:
        body["usage"] = usage(rng)
    for _ in range(rng.choice((0, 0, 1, 3))):
        body = mutated(rng, body)
    raw = text_of(rng, body).encode()
    return rng.choice(
        (raw, raw, raw, raw, b"", b"<html>", raw[: len(raw) // 2], b"\xff" + raw, b"null", b"[null]")
    )


def _chunk(rng: random.Random, number: int) -> Any:
    choice: dict[str, Any] = {
        "index": 0,
        "delta": {"content": f"t{number}"},
        "text": "t",
        "finish_reason": None,
    }
    body: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion.chunk",
        "model": "other",
        "choices": [choice],
    }
    if rng.random() < 0.2:
        body["usage"] = usage(rng)
    if rng.random() < 0.1:
        body["timings"] = {"prompt_n": rng.choice(NUMBERS), "cache_n": 1, "predicted_n": rng.choice(NUMBERS)}
    return body


def event(rng: random.Random, data: str) -> bytes:
    """One event, in one of the spellings that the standard knows, or none of them."""
    end = rng.choice(("\n\n", "\n\n", "\n\n", "\r\n\r\n", "\r\r", "\n", ""))
    line = rng.choice(("\r\n", "\n")) if end != "\r\r" else "\r"
    before = rng.choice(
        ("",) * 8 + (": ping", "event: x", "event: error", "id: 1", "retry: 5", "data", "nonsense")
    )
    field = rng.choice(("data: ", "data: ", "data:", "data:  ", "Data: ", "\ufeffdata: "))
    return ((before + line if before else "") + field + data + end).encode(errors="replace")


def stream(rng: random.Random) -> bytes:
    """The body of a streamed answer."""
    events = []
    for number in range(rng.choice((0, 1, 3, 3, 8))):
        chunk = _chunk(rng, number)
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            chunk = mutated(rng, chunk)
        events.append(event(rng, text_of(rng, chunk)))
    special: tuple[Any, ...] = (
        {"choices": [None]}, {"choices": []}, {"choices": "x"}, {"choices": {}}, {"error": "broke"},
        {"error": {}}, {"error": {"type": [], "message": {}}}, {"error": {"type": "x" * 5000}}, None, [],
    )  # fmt: skip
    for _ in range(rng.choice((0, 0, 1, 2))):
        events.insert(rng.randrange(len(events) + 1), event(rng, text_of(rng, rng.choice(special))))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        last = {"choices": rng.choice(([], [], None, [None], [{"index": 0}])), "usage": usage(rng)}
        events.append(event(rng, text_of(rng, last)))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        events.append(event(rng, rng.choice(("[DONE]", "[DONE]", "[DONE] ", "[done]"))))
    if rng.random() < 0.05:
        events.append(rng.randbytes(rng.randrange(200)))
    raw = b"".join(events)
    return raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.1 else raw


def refusal(rng: random.Random) -> bytes:
    """The body of an answer that is an error."""
    value: Any = {"error": {"message": "too long", "type": "invalid", "param": "messages", "code": 400}}
    for _ in range(rng.choice((0, 1, 2, 3))):
        value = mutated(rng, value)
    raw = text_of(rng, value).encode()
    return rng.choice(
        (raw, raw, raw, b"", b"no", b"\xff\xfe", raw[:-3], deep(1100).encode(), deep(300).encode())
    )


def _head(status: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode(errors="replace")


def _sized(rng: random.Random, status: str, kind: str, body: bytes) -> bytes:
    """Head and body, with a length that is mostly right."""
    wrong = (
        rng.choice((len(body) + 5, max(0, len(body) - 3), -1, "x", 2**70))
        if rng.random() < 0.1
        else len(body)
    )
    more = rng.choice(
        ((), (), (), ("connection: close",), ("content-encoding: gzip",), ("x-y: " + "z" * 9000,))
    )
    return _head(status, f"content-type: {kind}", f"content-length: {wrong}", *more) + body


def _chunked(rng: random.Random, status: str, kind: str, body: bytes) -> bytes:
    """Head and body in chunks, cut anywhere, mostly well."""
    raw = _head(status, f"content-type: {kind}", "transfer-encoding: chunked")
    at = 0
    while at < len(body):
        part = body[at : at + rng.choice((1, 7, 50, 400))]
        at += len(part)
        raw += b"%x\r\n%s\r\n" % (len(part) if rng.random() < 0.995 else len(part) + 3, part)
    return raw + rng.choice(
        (b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"", b"zz\r\n\r\n")
    )


_KINDS = (
    "application/json",
    "application/json",
    "text/event-stream",
    "text/html",
    "",
    "nonsense;;;=",
    "text/plain",
)
_STATUS = (
    "400 Bad", "404 No", "413 Large", "422 No", "429 Wait", "500 No", "503 Full", "504 Late", "418 Tea",
    "204 No", "301 There", "100 Continue", "999 X",
)  # fmt: skip
_BROKEN: tuple[Callable[[random.Random], bytes], ...] = (
    lambda _: b"",
    lambda _: b"HTTP/1.1 200 OK\r\n",
    lambda _: b"nonsense\r\n\r\n",
    lambda _: b"HTTP/9.9 abc\r\n\r\n",
    lambda _: _head("200 OK", "content-length: 5", "content-length: 7") + b"hello",
    lambda _: _head("200 OK", "no colon here", "content-length: 2") + b"{}",
    lambda _: _head("200 OK", "x" * 70_000 + ": y", "content-length: 2") + b"{}",
    lambda rng: rng.randbytes(300),
)


def framed(rng: random.Random, content_type: str, body: bytes) -> bytes:
    """A body as all that the engine sends, mostly well, or something else."""
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(_BROKEN)(rng)
    as_written = _chunked if rng.random() < 0.7 else _sized
    if kind < 0.15:
        return as_written(rng, rng.choice(_STATUS), rng.choice(_KINDS), refusal(rng))
    return as_written(rng, "200 OK", content_type if kind < 0.93 else rng.choice(_KINDS), body)


def answer(rng: random.Random, *, streamed: bool) -> bytes:
    """All that the engine sends for one request."""
    kind = "text/event-stream" if streamed else "application/json"
    return framed(rng, kind, stream(rng) if streamed else whole(rng))
