"""What each path is asked, and where its answer says what was used: a row per way of asking.

Belongs here: bodies as clients send them, reading answers of each API. Pure.
Does not: engines and gateways (conftest.py), what must hold (the tests).
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from .conftest import Reply

CITIES = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Berlin"]}},
    "required": ["city"],
    "additionalProperties": False,
}
_GREEDY = {"temperature": 0, "seed": 1}
_MESSAGES = [{"role": "user", "content": "the capital of france"}]
_FUNCTION = {"name": "weather", "description": "of a city", "strict": True, "parameters": CITIES}
_TOOLS = {"tools": [{"type": "function", "function": _FUNCTION}]}
_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Used:
    """Tokens of one request, as its engine says; the prompt's with what of it was cached."""

    input: int = 0
    cached: int = 0
    output: int = 0


@dataclass(frozen=True)
class Row:
    """One way of asking a path."""

    name: str
    path: str
    model: str
    body: Mapping[str, Any]
    # Where the engine has it, if only the gateway answers at `path`.
    at_engine: str | None = None

    def to(self, model: str) -> dict[str, Any]:
        """The body, for the model of that name."""
        return {"model": model, **self.body}

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    def used(self, reply: Reply) -> Used:
        """What its engine counted; nothing where this path says nothing."""
        return _used([reply.json] if not self.streams else reply.events)

    def said(self, reply: Reply) -> list[Any]:
        """What the client is after, without names, times and counts.

        Of a stream, pieces that follow each other are one: how many tokens an engine puts into each goes by
        how busy the machine is.
        """
        said = _said([reply.json] if not self.streams else reply.events)
        return [value for _, value in (_joined(said) if self.streams else said)]


def alike(one: list[Any], other: list[Any]) -> bool:
    """Whether two answers are the same; numbers differ a little with what is computed together."""
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4) if isinstance(a, float) else a == b
        for a, b in zip(one, other, strict=True)
    )


def _used(answers: list[dict[str, Any]]) -> Used:
    """Of the last that says something; Anthropic's stream says the prompt first, the answer last."""
    used = Used()
    for answer in answers:
        inner = answer.get("response") or answer.get("message")
        usage = answer.get("usage") or (inner.get("usage") if isinstance(inner, dict) else None)
        if not usage:
            continue
        if "prompt_tokens" in usage:
            details = usage.get("prompt_tokens_details") or {}
            counts = (
                usage["prompt_tokens"],
                details.get("cached_tokens") or 0,
                usage.get("completion_tokens", 0),
            )
        elif "input_tokens_details" in usage:
            cached = usage["input_tokens_details"]["cached_tokens"]
            counts = (usage["input_tokens"], cached, usage["output_tokens"])
        else:  # Anthropic's: what was read from the cache, or written to it, stands beside
            cached = usage.get("cache_read_input_tokens") or 0
            written = usage.get("cache_creation_input_tokens") or 0
            counts = (usage["input_tokens"] + cached + written, cached, usage["output_tokens"])
        used = Used(*counts)
    return used


_ANSWERS = frozenset(
    {"content", "text", "arguments", "partial_json", "delta", "city", "label", "tokens", "prompt"}
)
_COUNTS = frozenset({"score", "relevance_score", "embedding", "probs", "input_tokens", "count"})


def _joined(said: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Neighbours of one key as one, where they are text."""
    for (key, is_text), values in groupby(said, lambda each: (each[0], isinstance(each[1], str))):
        if is_text:
            yield key, "".join(value for _, value in values)
        else:
            yield from values


def _said(answers: list[Any]) -> list[tuple[str, Any]]:
    """Every value under a key that carries an answer, with its key, in order."""
    said: list[tuple[str, Any]] = []

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name != "usage":
                    walk(inner, name)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif key == "embedding" and isinstance(value, str):
            raw = base64.b64decode(value)
            said.extend((key, number) for number in struct.unpack(f"<{len(raw) // 4}f", raw))
        elif key in _ANSWERS | _COUNTS and value is not None:
            said.append((key, value))

    for answer in answers:
        walk(answer, "")
    return said


def _text(name: str, path: str, **body: Any) -> Row:
    return Row(name, path, "text", body)


def _also(path: str, row: Row) -> Row:
    """The same at a path that only the gateway has."""
    return replace(row, name=f"{row.name}, at {path}", path=path, at_engine=row.path)


_CHAT = {"messages": _MESSAGES, "max_tokens": 8, **_GREEDY}
_RESPONSE = {"input": "the capital of france", "max_output_tokens": 8, "temperature": 0, "store": False}
_MESSAGE = {"messages": _MESSAGES, "max_tokens": 8, "temperature": 0}
_ANTHROPIC_TOOL = {"name": "weather", "description": "of a city", "strict": True, "input_schema": CITIES}
_SCHEMA = {"name": "place", "strict": True, "schema": CITIES}

_TOKENS = _text("tokens of a text", "/tokenize", prompt="the capital of france")
_TEXT_OF = _text("text of tokens", "/detokenize", tokens=[70, 71, 72])
TEXT = (
    _text("chat", "/v1/chat/completions", **_CHAT),
    _text("chat, several answers", "/v1/chat/completions", **{**_CHAT, "temperature": 1, "n": 3}),
    _text("chat, streamed", "/v1/chat/completions", **_CHAT, **_USAGE),
    _text(
        "chat, a tool",
        "/v1/chat/completions",
        **{**_CHAT, "max_tokens": 96, **_TOOLS},
        tool_choice={"type": "function", "function": {"name": "weather"}},
    ),
    _text(
        "chat, tools streamed",
        "/v1/chat/completions",
        **{**_CHAT, "max_tokens": 64, **_TOOLS},
        tool_choice="required",
        **_USAGE,
    ),
    _text(
        "chat, structured",
        "/v1/chat/completions",
        **{**_CHAT, "max_tokens": 64},
        response_format={"type": "json_schema", "json_schema": _SCHEMA},
    ),
    _text("completion", "/v1/completions", prompt="the capital of france", max_tokens=8, **_GREEDY),
    _text("completion of several", "/v1/completions", prompt=["the", "a query"], max_tokens=4, **_GREEDY),
    _text("completion of tokens", "/v1/completions", prompt=[70, 71, 72], max_tokens=4, **_GREEDY),
    _text("completion, streamed", "/v1/completions", prompt="the capital", max_tokens=8, **_GREEDY, **_USAGE),
    _text("response", "/v1/responses", **_RESPONSE),
    _text("response, streamed", "/v1/responses", **_RESPONSE, stream=True),
    _text(
        "response, structured",
        "/v1/responses",
        **{**_RESPONSE, "max_output_tokens": 64},
        text={"format": {"type": "json_schema", **_SCHEMA}},
    ),
    _text("message", "/v1/messages", **_MESSAGE),
    _text("message, streamed", "/v1/messages", **_MESSAGE, stream=True),
    _text(
        "message, a tool",
        "/v1/messages",
        **{**_MESSAGE, "max_tokens": 96},
        tools=[_ANTHROPIC_TOOL],
        tool_choice={"type": "tool", "name": "weather"},
    ),
    _text("tokens of a message", "/v1/messages/count_tokens", messages=_MESSAGES),
    _TOKENS,
    _also("/v1/tokenize", _TOKENS),
    _text("tokens of a chat", "/tokenize", messages=_MESSAGES),
    _TEXT_OF,
    _also("/v1/detokenize", _TEXT_OF),
)


def _pooled(model: str, name: str, path: str, **body: Any) -> Row:
    return Row(name, path, model, body)


_PAIRS = {"query": "a query", "documents": ["paris is", "berlin is", "rivers"]}
EMBEDDER = (
    _pooled("embedder", "embedding", "/v1/embeddings", input="the capital of france"),
    _pooled("embedder", "several", "/v1/embeddings", input=["the capital", "of france"]),
    _pooled("embedder", "base64", "/v1/embeddings", input=["the capital"], encoding_format="base64"),
    _pooled("embedder", "tokens", "/v1/embeddings", input=[[5, 6, 7], [8, 9]]),
    _pooled("embedder", "tokens of a text", "/tokenize", prompt="the capital of france"),
)
RERANKER = (
    *(
        _pooled("reranker", f"rerank at {path}", path, **_PAIRS)
        for path in ("/v1/rerank", "/rerank", "/v2/rerank")
    ),
    _pooled("reranker", "the best", "/v1/rerank", **_PAIRS, top_n=1),
    *(
        _pooled("reranker", f"score at {path}", path, text_1="a query", text_2=["paris is", "rivers"])
        for path in ("/v1/score", "/score")
    ),
    _pooled("reranker", "scores of pairs", "/v1/score", text_1=["a", "query"], text_2=["paris is", "rivers"]),
)
_CLASSES = _pooled("classifier", "classes", "/classify", input=["paris is", "rivers"])
CLASSIFIER = (
    _CLASSES,
    _also("/v1/classify", _CLASSES),
    _pooled("classifier", "classes of one text", "/classify", input="paris"),
)
