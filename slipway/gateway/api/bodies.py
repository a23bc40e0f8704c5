"""Reading request bodies: JSON objects whose fields the gateway relies on are what they should be.

Belongs here: the checks of each operation's own fields, each with an error that names the field.
Does not: fields that only the engine reads; they pass through unseen.
"""

from __future__ import annotations

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
    prompt = body.get("prompt")
    if isinstance(prompt, str) or _is_tokens(prompt):
        return
    if isinstance(prompt, list) and prompt and all(isinstance(p, str) or _is_tokens(p) for p in prompt):
        return
    raise invalid("`prompt` must be a string, an array of strings, or arrays of token numbers.", "prompt")


def prompts_of(body: Body) -> list[Any]:
    """The prompts of a checked completion request, each a string or token numbers."""
    prompt = body["prompt"]
    return prompt if isinstance(prompt, list) and not _is_tokens(prompt) else [prompt]


def _can_be_written(body: Body) -> bool:
    try:
        orjson.dumps([[[[body]]]])
    except orjson.JSONEncodeError:
        return False
    return True


def _check_common(body: Body) -> None:
    if not isinstance(body.get("stream"), bool | None):
        raise invalid("`stream` must be true or false.", "stream")
    if not isinstance(body.get("stream_options"), dict | None):
        raise invalid("`stream_options` must be an object.", "stream_options")
    for name, least in (("n", 1), ("best_of", 1), ("max_tokens", 0), ("max_completion_tokens", 0)):
        value = body.get(name)
        if value is not None and (type(value) is not int or value < least):
            raise invalid(f"`{name}` must be an integer of at least {least}.", name)


def _is_tokens(prompt: object) -> bool:
    return isinstance(prompt, list) and bool(prompt) and all(type(token) is int for token in prompt)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    if value == []:
        return "an empty one"
    return names.get(type(value), "a number")
