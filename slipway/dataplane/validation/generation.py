"""Text generation as a client asks for it: a completion, a stream, their text, speed and counted tokens.

Belongs here: the two requests, and judging what they bring. Does not: other tasks (questions.py), which
checks there are (validation.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import OpenAI

from slipway.dataplane.validation.questions import Finding

_MAX_TOKENS = 12


@dataclass(frozen=True)
class Streamed:
    """What a stream brought: text, chunks with text, time to the first of them, usage."""

    text: str
    chunks: int
    ttft_ms: float | None
    usage: Any


def complete(api: OpenAI, model: str, prompt: str) -> Any:
    """A short greedy completion: the same question gives the same answer."""
    return api.completions.create(model=model, prompt=prompt, max_tokens=_MAX_TOKENS, temperature=0, seed=1)


def completed(answer: Any) -> Finding:
    """Whether a completion has text."""
    choice = answer.choices[0]
    evidence = {"text": choice.text, "finish_reason": choice.finish_reason, "model": answer.model}
    if not choice.text.strip():
        return False, evidence, "The completion is empty."
    return True, evidence, f"Answered {choice.text.strip()!r}."


def stream(api: OpenAI, model: str, prompt: str) -> Streamed:
    """The same as a streamed chat, read to its end; raises what the client raises."""
    began = time.perf_counter()
    first: float | None = None
    pieces: list[str] = []
    usage = None
    with api.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        max_tokens=_MAX_TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                first = first if first is not None else (time.perf_counter() - began) * 1000
                pieces.append(text)
    return Streamed("".join(pieces), len(pieces), first, usage)


def streamed(stream: Streamed) -> Finding:
    """Whether the answer came in pieces."""
    evidence = {"text": stream.text, "chunks": stream.chunks}
    if stream.chunks < 2:
        return False, evidence, f"{stream.chunks} chunks with text: the answer is not streamed."
    return True, evidence, f"{stream.chunks} chunks."


def usage_reported(completion: Any, stream: Streamed) -> Finding:
    """Whether tokens are told of both, and could be true."""
    evidence = {"completion": _usage(completion.usage), "stream": _usage(stream.usage)}
    for kind, usage in evidence.items():
        if usage is None:
            return False, evidence, f"The {kind} reports no usage: nothing could be billed."
        if not (usage["input"] > 0 and 0 < usage["output"] <= _MAX_TOKENS):
            return False, evidence, f"The {kind} reports {usage['input']} input and {usage['output']} output."
    return True, evidence, "Tokens are reported, streamed and not."


def _usage(usage: Any) -> dict[str, int] | None:
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details is not None else 0
    return {"input": usage.prompt_tokens, "cached": cached, "output": usage.completion_tokens}


def first_token(stream: Streamed, bound_ms: int) -> Finding:
    """Whether the first token came in time."""
    evidence = {"ttft_ms": None if stream.ttft_ms is None else round(stream.ttft_ms, 1), "bound_ms": bound_ms}
    if stream.ttft_ms is None:
        return False, evidence, "No token came."
    if stream.ttft_ms > bound_ms:
        return False, evidence, f"The first token took {stream.ttft_ms:.0f} ms; the bound is {bound_ms} ms."
    return True, evidence, f"First token after {stream.ttft_ms:.0f} ms."
