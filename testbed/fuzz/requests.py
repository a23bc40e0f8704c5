"""Requests made from a random generator: good ones, with something in them that is not.

Belongs here: bodies by structure and by bytes, and HTTP around them. Does not: sending them (client.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testbed.fuzz import sounds

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
# Every other path of JSON, with the task of the models that answer it.
OTHERS = {
    "/v1/responses": "text-generation",
    "/v1/messages": "text-generation",
    "/v1/messages/count_tokens": "text-generation",
    "/v1/embeddings": "embedding",
    **dict.fromkeys(("/v1/rerank", "/rerank", "/v2/rerank", "/v1/score", "/score"), "rerank"),
    **dict.fromkeys(("/classify", "/v1/classify"), "classification"),
    **dict.fromkeys(("/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize"), "rerank"),
}
_OTHER_PATHS = (
    "/v1/models", "/v1/models/open", "/v1/models/nope", "/v1/models/%00", "/v1/models/" + "x" * 3000, "/v1",
    "/", "//", "/v1/responses/r_1", "/v1/messages/batches",
    "/v1/chat/completions/", "/v1/chat/completions?x=1", "/-/health", "/-/ready",
    "/-/status", "/-/metrics", "/-/ship", "/-/nope", "*", "/v1/../-/status", "/v1/%63ompletions",
)  # fmt: skip
_SOUNDS = 0.15  # of all
MODELS = (*["open"] * 8, *["limited"] * 8, "small", "away", "nope")
_DEEP = "@deep@"  # becomes JSON that nests

_TEXTS = ("", "Hi", "x" * 300, "\u0000", "\ud800", "é" * 40, "\U0001f600", '"', "\\", "<|im_start|>", _DEEP)
_NUMBERS = (0, 1, 2, 5, -1, 2**31, 2**63, 2**64, 10**30, 1.5, 1e308, float("nan"), float("inf"))
_JUNK: tuple[Any, ...] = (
    *_TEXTS, *_NUMBERS, True, False, None, [], {}, [[]], [None], {"": ""}, [1, "x"], [[1], [2]], ["a", "b"],
    {"a": {"b": []}},
)  # fmt: skip
_PARTS: tuple[Any, ...] = (
    {"type": "text", "text": "x"}, {"type": "input_text", "text": "y" * 200}, {"type": []}, {"type": None},
    {"type": {"a": 1}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    {"type": "image_url", "image_url": "https://127.0.0.1/a.png"}, {"type": "image_url", "image_url": None},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, "text", 5, None, [], {},
    {"type": "image_url", "image_url": {"url": 5}}, {"type": "video_url", "video_url": []},
    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j//9j/"}},
)  # fmt: skip
_BLOCKS: tuple[Any, ...] = (
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
    {"type": "image", "source": {"type": "base64", "data": 5}}, {"type": "image", "source": "x"},
    {"type": "tool_result", "content": [{"type": "text", "text": "x"}, None, {"content": [{"content": []}]}]},
)  # fmt: skip
_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "stream": (True, False, None, "yes", 1),
    "stream_options": ({"include_usage": True}, {"continuous_usage_stats": False}, {}, None, [], "x"),
    "max_tokens": (0, 1, 5, 10**6, -1, None, 1.5, "5", True),
    "max_completion_tokens": (0, 5, None, 2**64),
    "n": (1, 2, 5, 0, 2**63, None, []),
    "best_of": (1, 3, None, "x"),
    "prompt": ([], "x", ["a", "b"], [1, 2], [[1], [2, 3]], [[]], [1, "x"], {}, None),
    "messages": ([], [{"role": "user", "content": "Hi"}], [None], {}, "x", None),
    "suffix": ("x", [], None),
    "echo": (True, "x"),
    "tools": ([{"type": "function", "function": {"name": "f", "parameters": {}}}], [], {}, [None]),
    "documents": ([{"title": "a", "text": "b" * 500}], "x"),
    "response_format": ({"type": "json_schema", "json_schema": {"schema": {"a": "b" * 200}}}, []),
    "chat_template_kwargs": (
        {"messages": [{"role": "user", "content": "x" * 500}]},
        {"chat_template": "x"},
        [],
        "x",
    ),
    "chat_template": ("{{ x }}", None, []),
    "structured_outputs": ({"json": {}}, None),
    "guided_json": ({"type": "object"}, "x"),
    "timings_per_token": (True, 1),
    "logit_bias": ({"1": 1}, []),
    "stop": (["x"], None),
    "input": (
        *("x", [1, 2], ["a"], [[]], {}, None),
        [{"role": "user", "content": [{"type": "input_image", "image_url": []}]}],
    ),
    "max_output_tokens": (0, 5, 10**6, -1, "5", None),
    "previous_response_id": ("r_1", "", 5, None),
    "background": (True, False, "x"),
    "system": ("x", [{"type": "text", "text": "y"}], 5, {}),
    "query": ("x", "", {"content": [{"type": "image_url", "image_url": {"url": "https://127.0.0.1/a"}}]}, []),
    "text_1": ("x", ["a", "b"], [], None, 5),
    "text_2": ("x", ["a", "b"], [{}], None),
    "queries": ("x", ["a"], None),
    "tokens": ([1, 2], "x", None),
    "cache_salt": ("x", "", None, []),
    "encoding_format": ("base64", 5),
    "n_predict": (10**6, None),
    "nobody_knows_this": _JUNK,
}
_MORE = (*["/v1/responses", "/v1/messages"] * 2, *OTHERS)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as bytes. `hangs_up`: after so many bytes of the answer; None where all of it is read."""

    raw: bytes
    hangs_up: int | None
    is_http: bool  # whether the HTTP around the body is as it should be
    may_be_sound: bool = False  # whose answer need not be JSON


def request(rng: random.Random, secret: str) -> Sent:
    """A request, mostly to a path that has a body."""
    if rng.random() < _SOUNDS:
        return _about_sound(rng, secret)
    kind = rng.random()
    path = rng.choice((CHAT, CHAT, CHAT, COMPLETIONS, COMPLETIONS, *_MORE))
    body = _body(rng, path)
    if kind < 0.1:
        body = by_bytes(rng, body)
    if kind > 0.93:
        path = rng.choice(_OTHER_PATHS)
    method = "POST" if kind < 0.95 else rng.choice(("GET", "GET", "PUT", "HEAD", "OPTIONS", "DELETE", "X"))
    is_keyed = rng.random() < 0.97
    raw = _http(
        rng, method, path, body, secret if is_keyed else rng.choice(("", "nope", "\xff", "sk-slipway-"))
    )
    is_http = method not in {"HEAD", "X"}
    if 0.90 < kind < 0.93:
        raw, is_http = by_bytes(rng, raw), False
    hangs_up = rng.choice((0, 0, 1, 100, 400)) if rng.random() < 0.04 else None
    return Sent(raw, hangs_up, is_http)


def _about_sound(rng: random.Random, secret: str) -> Sent:
    path = rng.choice(sounds.PATHS)
    kind, body = "application/json", b""
    if path.endswith("speech"):
        body = sounds.speech(rng)
    else:
        kind, body = sounds.form(rng)
    if rng.random() < 0.1:
        body = by_bytes(rng, body)
    raw = _http(rng, "POST", path, body, secret, kind)
    hangs_up = rng.choice((0, 0, 1, 100, 400)) if rng.random() < 0.04 else None
    return Sent(raw, hangs_up, is_http=True, may_be_sound=True)


def by_bytes(rng: random.Random, raw: bytes) -> bytes:
    """The bytes with some changed, left out, doubled or cut off."""
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not changed:
            break
        at = rng.randrange(len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del changed[at : at + rng.randrange(1, 20)]
        elif kind == 3:
            changed[at:at] = changed[at : at + rng.randrange(1, 60)]
        elif kind == 4:
            changed[at:at] = rng.choice((b"\x00", b"\xff\xfe", b'"', b"{", b"]", b"\\u", b"1e999", b"\r\n"))
        else:
            del changed[at:]
    return bytes(changed)


def _body(rng: random.Random, path: str) -> bytes:
    body: dict[str, Any] = {"model": rng.choice(MODELS), "seed": rng.randrange(10**9), "max_tokens": 5}
    if path == CHAT:
        message: dict[str, Any] = {"role": "user", "content": "Hi"}
        if rng.random() < 0.3:
            message["content"] = [rng.choice(_PARTS) for _ in range(rng.randrange(4))]
        body["messages"] = [message] * rng.choice((1, 1, 1, 3))
    elif path in OTHERS:
        body.update(_other(rng, path))
    else:
        body["prompt"] = rng.choice(("Hi", ["a", "b"], [1, 2, 3], [[1], [2]]))
    if rng.random() < 0.6:
        body["stream"] = True
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
        name = rng.choice(list(_FIELDS))
        body[name] = rng.choice(_FIELDS[name])
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 2))):
        body = _mutated(rng, body)
    text = json.dumps(body, ensure_ascii=rng.random() < 0.7, separators=rng.choice(((",", ":"), None)))
    while f'"{_DEEP}"' in text:
        levels = rng.choice((2, 100, 245, 249, 250, 251, 252, 253, 254, 255, 300, 1000, 1022, 1100))
        nested = rng.choice(("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels))
        text = text.replace(f'"{_DEEP}"', nested, 1)
    return text.encode(errors="surrogatepass")


def _other(rng: random.Random, path: str) -> dict[str, Any]:
    """Fields of a request to one of the other paths."""
    model = rng.choice(("open", "limited"))
    task = OTHERS[path]
    fields: dict[str, Any] = {"model": model if task == "text-generation" else f"{model}-{task}"}
    if "messages" in path:
        content = [rng.choice((*_PARTS, *_BLOCKS)) for _ in range(rng.randrange(4))]
        fields["messages"] = [{"role": "user", "content": rng.choice(("Hi", content))}]
    elif "rerank" in path:
        fields.update(query="q", documents=["a", {"text": "b"}])
    elif "score" in path:
        fields.update(text_1=rng.choice(("a", ["a", "b"])), text_2=["c", "d"])
    elif "tokenize" in path:
        fields.update(prompt="Hi", content="Hi", tokens=[1])
    else:
        fields["input"] = rng.choice(("Hi", ["Hi", "é"], [1, 2])) if path != "/v1/responses" else "Hi"
    return fields


def _mutated(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: other for name, other in value.items() if name != key}
        return {**value, key: _mutated(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.6:
        at = rng.randrange(len(value))
        return [*value[:at], _mutated(rng, value[at]), *value[at + 1 :]]
    return rng.choice(_JUNK)


def _http(
    rng: random.Random, method: str, path: str, body: bytes, secret: str, content_type: str = ""
) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "host: x", f"authorization: Bearer {secret}"]
    if content_type:
        head.append(f"content-type: {content_type}")
    if method in {"GET", "HEAD"}:
        return "\r\n".join((*head, "", "")).encode("latin-1")
    if rng.random() < 0.9:
        head.append(f"content-length: {len(body)}")
    else:
        head.append("transfer-encoding: chunked")
        middle = rng.randrange(len(body) + 1)
        parts = [part for part in (body[:middle], body[middle:]) if part]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return "\r\n".join((*head, "", "")).encode("latin-1") + body
