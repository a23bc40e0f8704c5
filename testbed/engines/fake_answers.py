"""What a fake engine answers: the shape of every task, and how it is wrong.

Belongs here: bodies, as functions of what was asked. Does not: HTTP (fake_engine.py).
"""

import io
import wave
from collections.abc import Iterator, Mapping
from typing import Any

_PROMPT_TOKENS = 7
_STREAMED_TOKENS = 3
_POOLED = {"prompt_tokens": 5, "total_tokens": 5}


def answer(path: str, body: Mapping[str, Any], wrong: str) -> dict[str, Any]:
    """The whole answer of a task that gives text or numbers.

    `wrong`: `infinite` or `zero` vectors, `unordered` or `alike` scores, `uncounted` tokens; any word makes
    probabilities and texts wrong.
    """
    usage = {} if wrong == "uncounted" else {"usage": _POOLED}
    if path == "/v1/embeddings":
        number = {"infinite": float("nan"), "zero": 0.0}.get(wrong, 0.25)
        return {"data": [{"index": 0, "embedding": [number] * 8}], **usage}
    if path.endswith("/rerank"):
        scores = {"unordered": (0.1, 0.9), "alike": (0.5, 0.5)}.get(wrong, (0.9, 0.1))
        results = [{"index": number, "relevance_score": score} for number, score in enumerate(scores)]
        return {"results": results, **usage}
    if path == "/v1/score":
        return {
            "data": [{"index": number, "score": score} for number, score in enumerate((0.1, 0.9))],
            **usage,
        }
    if path == "/classify":
        return {"data": [{"label": "fine", "probs": [2.0 if wrong else 0.8, 0.2]}], **usage}
    if path == "/v1/audio/transcriptions":
        with wave.open(body["file"].file, "rb") as heard:
            assert (heard.getframerate(), heard.getnframes()) == (16_000, 16_000)
        return {"text": None if wrong else "la"}
    return _chat(body.get("max_tokens", 5))


def _chat(tokens: int) -> dict[str, Any]:
    total = _PROMPT_TOKENS + tokens
    message = {"role": "assistant", "content": "hello"}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": _PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": total},
    }


def chunks() -> Iterator[dict[str, Any]]:
    """A stream's chunks, a token each."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "x"}
    for number in range(_STREAMED_TOKENS):
        delta = {"index": 0, "delta": {"content": f"t{number}"}, "finish_reason": None}
        yield {**head, "choices": [delta]}


def last_chunk() -> dict[str, Any]:
    """The stream's usage."""
    usage = {"prompt_tokens": _PROMPT_TOKENS, "completion_tokens": _STREAMED_TOKENS}
    return {"choices": [], "usage": usage}


def speech(wrong: str) -> bytes:
    """A WAV file with a sound; `wrong`: `html`, or silence for any other word."""
    if wrong == "html":
        return b"<html>"
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(2000) if wrong else b"\x01\x02" * 1000)
    return written.getvalue()
