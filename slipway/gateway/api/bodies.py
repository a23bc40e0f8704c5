"""Reading request bodies: JSON objects whose fields the gateway relies on are what they should be.

Belongs here: the checks of each operation's own fields, each with an error that names the field.
Does not: fields that only the engine reads; they pass through unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from slipway.gateway.api.errors import invalid

Body = dict[str, Any]

MAX_MODEL_LENGTH = 256

# orjson reads 1,024 levels and writes 254. What the gateway puts around a part of a body needs a few of them.
_SURELY_WRITTEN = 250


def parse(raw: bytes) -> Body:
    """The body as an object that can be written again, or an ApiError with status 400."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid(f"The request body is not valid JSON: {error}.", None) from error
    if not isinstance(body, dict):
        raise invalid(f"The request body must be a JSON object, not {_kind(body)}.", None)
    if raw.count(b"[") + raw.count(b"{") > _SURELY_WRITTEN and not _can_be_written(body):
        raise invalid(
            f"The request body nests objects and arrays too deep. Up to {_SURELY_WRITTEN} levels are taken.",
            None,
        )
    return body


def model_of(body: Body) -> str:
    """The requested model name."""
    model = body.get("model")
    if model is None:
        raise invalid("`model` is missing. Name the model to use.", "model")
    if not isinstance(model, str) or not model or len(model) > MAX_MODEL_LENGTH:
        raise invalid(f"`model` must be a string of 1 to {MAX_MODEL_LENGTH} characters.", "model")
    return model


def check_chat(body: Body) -> None:
    """Fields of a chat completion."""
    _check_common(body)
    check_messages(body)


def check_messages(body: Body) -> None:
    """The messages of a chat, each an object with a role."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid(f"`messages` must be a non-empty array, not {_kind(messages)}.", "messages")
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise invalid(f"`{where}` must be an object, not {_kind(message)}.", where)
        if not isinstance(message.get("role"), str):
            raise invalid(f"`{where}.role` must be a string.", f"{where}.role")
        if not isinstance(message.get("content"), str | list | None):
            raise invalid(f"`{where}.content` must be a string or an array of parts.", f"{where}.content")


def check_completion(body: Body) -> None:
    """Fields of a completion."""
    _check_common(body)
    check_texts(body, "prompt")


def check_texts(body: Body, field: str) -> None:
    """A field with one text or several, each a string or token numbers."""
    texts = body.get(field)
    if isinstance(texts, str) or _is_tokens(texts):
        return
    if isinstance(texts, list) and texts and all(isinstance(text, str) or _is_tokens(text) for text in texts):
        return
    raise invalid(f"`{field}` must be a string, an array of strings, or arrays of token numbers.", field)


def texts_of(body: Body, field: str) -> list[Any]:
    """The texts of such a field, each a string or token numbers."""
    texts = body[field]
    return texts if isinstance(texts, list) and not _is_tokens(texts) else [texts]


def check_stream(body: Body) -> None:
    """Whether the answer is streamed, and how."""
    if not isinstance(body.get("stream"), bool | None):
        raise invalid("`stream` must be true or false.", "stream")
    if not isinstance(body.get("stream_options"), dict | None):
        raise invalid("`stream_options` must be an object.", "stream_options")


def check_counts(body: Body, names: Iterable[str], *, least: int) -> None:
    """Fields that are whole numbers where they are there."""
    for name in names:
        value = body.get(name)
        if value is not None and (type(value) is not int or value < least):
            raise invalid(f"`{name}` must be an integer of at least {least}.", name)


def check_one_answer(body: Body, names: Iterable[str]) -> None:
    """Fields that are not of an API with one answer; engines that know them would make several."""
    for name in names:
        if body.get(name) not in (None, 1):
            raise invalid(f"`{name}` is not taken here: there is one answer. Leave it out.", name)


def _can_be_written(body: Body) -> bool:
    try:
        orjson.dumps([[[[body]]]])
    except orjson.JSONEncodeError:
        return False
    return True


def _check_common(body: Body) -> None:
    check_stream(body)
    check_counts(body, ("n", "best_of"), least=1)
    check_counts(body, ("max_tokens", "max_completion_tokens"), least=0)


def _is_tokens(prompt: object) -> bool:
    return isinstance(prompt, list) and bool(prompt) and all(type(token) is int for token in prompt)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    if value == []:
        return "an empty one"
    return names.get(type(value), "a number")
