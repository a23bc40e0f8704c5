"""JSON of engines' answers: read as they write it, written as it was read, and the errors among it.

Belongs here: what all kinds of answers share. Does not: where usage and names are in them (stream.py and its
neighbours).
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from slipway.gateway.api import events
from slipway.gateway.api.answers import Whole
from slipway.gateway.api.events import AnswerError
from slipway.gateway.api.usage_count import UsageCount

_MAX_ERROR_TYPE = 64


def decoded(payload: bytes) -> Any:
    """A JSON document; None for what is none. Engines in Python write NaN, which is none to be strict."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            return None


def encoded(document: dict[str, Any]) -> bytes:
    """As `decoded` reads it: orjson writes no half of a surrogate pair, and nothing nested very deep."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        try:
            return json.dumps(document, separators=(",", ":")).encode()
        except (ValueError, RecursionError) as error:
            raise AnswerError(f"an answer that cannot be written again: {error}") from error


def error_type(chunk: dict[str, Any], named: events.Event | None) -> str | None:
    """The type of the error that an event is: in OpenAI's shape, in vLLM's (`object`), or by its name."""
    error = chunk.get("error")
    if not error:
        is_error = chunk.get("object") == "error" or chunk.get("type") == "error"
        if not is_error and (named is None or named.kind != b"error"):
            return None
        error = chunk
    kind = error.get("type") if isinstance(error, dict) else None
    if not isinstance(kind, str) or not kind or kind == "error":
        return "upstream_error"
    return kind[:_MAX_ERROR_TYPE]


def document_of(body: bytes, *, answer: str | None = None) -> dict[str, Any] | None:
    """The object that an answer in one piece is; None where it is none.

    Raises AnswerError for an error with status 200: one without what is an `answer`.
    """
    document = decoded(body)
    if not isinstance(document, dict):
        return None
    if error_type(document, None) is not None and not (answer and document.get(answer)):
        raise AnswerError(f"an error with status 200, {len(body)} bytes")
    return document


def edit_free(body: bytes, model: str) -> Whole | None:
    """An answer that is billed nothing, whatever it says."""
    document = document_of(body)
    if document is None:
        return None
    usage = UsageCount()
    usage.nothing()
    return Whole(named(body, document, model), usage)


def named(body: bytes, document: dict[str, Any], model: str) -> bytes:
    """The answer with the model's name as the client knows it: the engine's own bytes where it says so."""
    if document.get("model", model) == model:
        return body
    document["model"] = model
    return encoded(document)


def size_of(value: Any, *, most: int) -> int:
    """Bytes of a part of an answer of `most` bytes: no text in it has more tokens."""
    try:
        return min(most, len(encoded({"": value})))
    except AnswerError:
        return most
