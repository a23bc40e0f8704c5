"""Answers of the APIs that are neither completions nor sounds, spoilt.

Belongs here: what they should be, by path, whole and as events. Does not: how a value, an event and HTTP go
wrong (fake_rogue_answers.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from testbed.engines.fake_rogue_answers import event, framed, mutated, text_of

_USED = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}}
_RESPONSE: Mapping[str, Any] = {
    "id": "r",
    "object": "response",
    "model": "other",
    "error": None,
    "output": [],
}
_MESSAGE: Mapping[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "other"}
_READ = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 0}
_POOLED = {"prompt_tokens": 5, "total_tokens": 5}

_WHOLE: Mapping[str, Mapping[str, Any]] = {
    "/v1/responses": {
        **_RESPONSE,
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": _USED,
    },
    "/v1/messages": {
        **_MESSAGE,
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {**_READ, "output_tokens": 3},
    },
    "/v1/messages/count_tokens": {"input_tokens": 9},
    "/v1/embeddings": {
        "object": "list",
        "model": "other",
        "data": [{"index": 0, "embedding": [0.5]}],
        "usage": _POOLED,
    },
    "/v1/rerank": {
        "model": "other",
        "results": [{"index": 0, "relevance_score": 0.5}],
        "usage": _POOLED,
        "meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 5}},
    },
    "/v1/score": {"model": "other", "data": [{"index": 0, "score": 0.5}], "usage": _POOLED},
    "/classify": {"model": "other", "data": [{"label": "x", "probs": [0.5]}], "usage": _POOLED},
    "/tokenize": {"count": 2, "tokens": [1, 2]},
    "/detokenize": {"prompt": "hi"},
}

_STREAMED: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "/v1/responses": (
        {"type": "response.created", "response": _RESPONSE},
        {"type": "response.output_text.delta", "delta": ""},
        {"type": "response.output_text.delta", "delta": "hi"},
        {"type": "response.output_text.delta", "delta": "!", "timings": {"prompt_n": 3, "predicted_n": 2}},
        {"type": "response.completed", "response": {**_RESPONSE, "usage": _USED}},
    ),
    "/v1/messages": (
        {"type": "message_start", "message": {**_MESSAGE, "content": [], "usage": _READ}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": ""},
        },
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ),
}

PATHS = frozenset(_WHOLE)


def answer(rng: random.Random, path: str, *, streamed: bool) -> bytes:
    """All that the engine sends for one request to one of `PATHS`."""
    if streamed and path in _STREAMED:
        return framed(rng, "text/event-stream", _events(rng, path))
    return framed(rng, "application/json", _whole(rng, path))


def _whole(rng: random.Random, path: str) -> bytes:
    body: Any = _WHOLE[path]
    for _ in range(rng.choice((0, 0, 1, 3))):
        body = mutated(rng, body)
    raw = text_of(rng, body).encode()
    return rng.choice((raw, raw, raw, raw, b"", b"<html>", raw[: len(raw) // 2], b"\xff" + raw, b"null"))


def _events(rng: random.Random, path: str) -> bytes:
    written = []
    for chunk in _STREAMED[path]:
        if rng.random() < 0.05:
            continue
        spoilt: Any = chunk
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
            spoilt = mutated(rng, spoilt)
        text = text_of(rng, spoilt)
        if rng.random() < 0.8:
            written.append(f"event: {chunk['type']}\ndata: {text}\n\n".encode(errors="replace"))
        else:
            written.append(event(rng, text))
    if rng.random() < 0.3:
        error = rng.choice(({"type": "error", "error": {"type": "overloaded_error"}}, {"error": "e"}))
        written.insert(rng.randrange(len(written) + 1), event(rng, text_of(rng, error)))
    if rng.random() < 0.2:
        written.append(b"data: [DONE]\n\n")
    raw = b"".join(written)
    return raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.1 else raw
