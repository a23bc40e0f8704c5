"""Requests about sound made from a random generator: forms with files, and texts to speak.

Belongs here: forms by structure and by bytes. Does not: HTTP around them, other bodies (requests.py).
"""

from __future__ import annotations

import json
import random
import struct
from typing import Any

PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech")
HEARS = (
    *["hears"] * 8,
    *["hears-limited"] * 4,
    "open",
    "nope",
    "",
    "speaks",
    "x" * 300,
    "\u00e9",
    "away-hears",
)
SPEAKS = (*["speaks"] * 8, *["speaks-limited"] * 4, "open", "nope", None, 5)
_BOUNDARIES = ("b", "-" * 30, "x" * 70, "boundary with spaces", "y" * 201, '"q"', "a=b;c", "")
_FIELDS = (
    ("response_format", ("json", "text", "srt", "vtt", "verbose_json", "nonsense", "")),
    ("stream", ("true", "false", "1", "True", "yes", "\x00")),
    ("language", ("en", "é" * 50)),
    ("prompt", ("", "x" * 3_000, "\r\n--b", "--", "\r\n")),
    ("temperature", ("0", "nan", "1e999")),
    ("timestamp_granularities[]", ("word", "segment")),
    ("stream_include_usage", ("true", "false")),
    ("model", ("hears", "nope")),
    ("file", ("a text where a file should be",)),
    ('na"me\\', ("x",)),
    ("", ("x",)),
)
_HEADS = (
    'Content-Disposition: form-data; name="{0}"',
    "content-disposition: form-data; name={0}",
    'Content-Disposition: form-data; name="{0}"\r\nContent-Type: text/plain; charset=utf-8',
    'Content-Disposition: form-data; name="{0}"\r\nContent-Disposition: form-data; name="model"',
    'Content-Disposition: form-data; filename="a"; name="{0}"',
    'Content-Disposition: attachment; name="{0}"',
    "Content-Disposition: form-data",
    "Content-Disposition: form-data; name*=utf-8''{0}; name=\"x\"",
    "X: y",
    "no colon",
    'Content-Disposition: form-data; name="{0}"\r\nX: ' + "y" * 5_000,
    'Content-Disposition: form-data; name="{0}"\n',
    "",
)
_TEXTS = ("Hi", "", "x" * 5_000, "\U0001f600", None, 5, ["Hi"], {"a": 1})


def speech(rng: random.Random) -> bytes:
    """The body of a text to speak."""
    body: dict[str, Any] = {"model": rng.choice(SPEAKS), "voice": "x", "input": "Hi", "seed": rng.random()}
    if rng.random() < 0.3:
        body["input"] = rng.choice(_TEXTS)
    if rng.random() < 0.5:
        body["response_format"] = rng.choice(("wav", "pcm", "mp3", "opus", None, 5, []))
    if rng.random() < 0.3:
        body["stream_format"] = rng.choice(("sse", "audio", None, 1))
    return json.dumps(body).encode()


def form(rng: random.Random) -> tuple[str, bytes]:
    """The Content-Type and the body of a form."""
    boundary = rng.choice(_BOUNDARIES) if rng.random() < 0.1 else f"b{rng.randrange(10**9)}"
    model, file = _field(rng, "model", rng.choice(HEARS)), _file(rng)
    parts = [
        _field(rng, name, rng.choice(values)) for name, values in rng.sample(_FIELDS, rng.choice((0, 1, 3)))
    ]
    parts += [file, model] if rng.random() < 0.3 else [model, file]
    for _ in range(rng.choice((0, 0, 0, 1))):
        _spoil(rng, parts)
    written = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    written += b"--%s--%s" % (boundary.encode(), rng.choice((b"\r\n", b"\r\n", b"", b"\r\nepilogue" * 50)))
    if rng.random() < 0.05:
        written = rng.choice((b"\r\n", b"preamble\r\n", b"\n")) + written
    kind = rng.choice(
        ("multipart/form-data", "multipart/form-data", "Multipart/Form-Data", "multipart/mixed", "")
    )
    if rng.random() < 0.9:
        kind = "multipart/form-data"
    quoted = f'"{boundary}"' if rng.random() < 0.2 else boundary
    return rng.choice((f"{kind}; boundary={quoted}",) * 20 + (kind, f"{kind};boundary=other", "")), written


def _spoil(rng: random.Random, parts: list[bytes]) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        parts.append(rng.choice(parts))
    elif kind == 1:
        parts.pop(rng.randrange(len(parts)))
    elif kind == 2:
        rng.shuffle(parts)
    else:
        parts += [rng.choice(parts)[:300]] * rng.choice((2, 300))


def _field(rng: random.Random, name: str, value: str) -> bytes:
    head = rng.choice(_HEADS) if rng.random() < 0.05 else _HEADS[0]
    return head.format(name).encode() + b"\r\n\r\n" + value.encode(errors="surrogatepass")


def _file(rng: random.Random) -> bytes:
    name = rng.choice(('"a.wav"', '"a.wav"', '"a.wav"', '"é\\".wav"', "a", '""', '"\u3000"', '"a\x01"'))
    head = f'Content-Disposition: form-data; name="file"; filename={name}\r\nContent-Type: audio/wav\r\n\r\n'
    return head.encode() + _sound(rng)


def _sound(rng: random.Random) -> bytes:
    """The bytes of a file: the beginnings of containers, lengths that lie, and no sound at all."""
    size = rng.choice((0, 1, 100, 5_000, 70_000) if rng.random() < 0.97 else (600_000,))
    kind = rng.randrange(6)
    noise = rng.randbytes(min(size, 5_000)) * (size // 5_000 or 1)
    if kind == 0:
        numbers = (1, rng.choice((1, 2, 0, 65_535)), rng.choice((16_000, 0, 2**32 - 1)), 0, 2, 16)
        fmt = b"fmt " + struct.pack("<I", rng.choice((16, 18, 0, 2**31))) + struct.pack("<HHIIHH", *numbers)
        return (
            b"RIFF\0\0\0\0WAVE" + fmt + b"data" + struct.pack("<I", rng.choice((size, 0, 2**32 - 1))) + noise
        )
    if kind == 1:
        return b"fLaC\0\0\0\x22" + rng.randbytes(34) + noise
    if kind == 2:
        page = b"OggS\0\x02" + rng.randbytes(20) + b"\x01\x13OpusHead" + rng.randbytes(30)
        return page * rng.choice((1, 5)) + noise
    if kind == 3:
        return b"ID3\x04\0\0" + rng.randbytes(4) + (b"\xff\xfb\x90\x64" + bytes(413)) * (size // 400)
    return noise.replace(b"\0", b"\r") if kind == 4 else b"\r\n--b" * (size // 5)
