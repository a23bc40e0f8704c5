"""Every way in which a fake engine's answer about sound is wrong, as the bytes on the wire.

Belongs here: transcripts and sounds. Does not: HTTP around them, other answers (fake_rogue_answers.py).
"""

from __future__ import annotations

import random
from typing import Any

from testbed.engines import fake_rogue_answers as rogue

_KINDS = ("audio/wav", "audio/pcm", "audio/pcm;rate=x", "audio/mpeg")
_SECONDS: tuple[Any, ...] = (*rogue.NUMBERS, 2.5, "2.5", "nan", float("nan"), float("inf"))


def answer(rng: random.Random, *, is_spoken: bool) -> bytes:
    """All that the engine sends for one request."""
    if rng.random() < 0.4:
        return rogue.framed(rng, "text/event-stream", _stream(rng, is_spoken=is_spoken))
    if is_spoken:
        return rogue.framed(rng, rng.choice(_KINDS), _sound(rng))
    if rng.random() < 0.3:
        return rogue.framed(rng, "text/plain; charset=utf-8", rng.choice((b"", b"la", b"1\n00:00\n" * 500)))
    heard: Any = {"text": "la", "model": "other", "duration": rng.choice(_SECONDS), "usage": _usage(rng)}
    for _ in range(rng.choice((0, 1, 2))):
        heard = rogue.mutated(rng, heard)
    return rogue.framed(rng, "application/json", rogue.text_of(rng, heard).encode())


def _usage(rng: random.Random) -> Any:
    kinds: tuple[Any, ...] = (
        {"type": "duration", "seconds": rng.choice(_SECONDS)},
        {
            "type": "tokens",
            "input_tokens": rng.choice(rogue.NUMBERS),
            "output_tokens": rng.choice(rogue.NUMBERS),
        },
        {"type": "tokens", "input_tokens": 5, "input_token_details": rng.choice(rogue.JUNK)},
        rng.choice(rogue.JUNK),
    )
    return rng.choice(kinds)


def _stream(rng: random.Random, *, is_spoken: bool) -> bytes:
    name, part = ("speech.audio", "audio") if is_spoken else ("transcript.text", "delta")
    parts: list[Any] = [{"type": f"{name}.delta", part: "bGE="} for _ in range(rng.choice((0, 1, 3)))]
    parts += [{"type": f"{name}.done", "text": "la", "usage": _usage(rng)}] * rng.choice((0, 1, 1, 1, 2))
    events = b"".join(
        rogue.event(rng, rogue.text_of(rng, rogue.mutated(rng, each) if rng.random() < 0.1 else each))
        for each in parts
    )
    return rng.choice(
        (events, events, events + b"data: [DONE]\n\n", events[: len(events) // 2], rogue.stream(rng))
    )


def _sound(rng: random.Random) -> bytes:
    heads = (b"", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS\0\x02", b"ID3", b"\xff\xfb\x90\x64")
    return rng.choice(heads) + rng.randbytes(rng.choice((0, 1, 500, 30_000)))
