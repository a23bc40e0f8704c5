"""How many tokens a picture, a sound or a film in a message can be at most.

Belongs here: a rule per kind. Does not: text beside it (prompts.py).

A picture costs by its pixels, a sound by its seconds, neither by its bytes. These are read from the header of
a PNG or JPEG in a data URL, and of a WAV in base64. All else (an address, another format, what cannot be
read) counts as the most that engines make of it. Some models scale small ones up, so each costs the least at
least.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

_LEAST_TOKENS = 4_096
# Qwen2-VL's own bound (max_pixels / 28 / 28), the highest of those that vLLM serves; no client may move it.
_MOST_PICTURE_TOKENS = 16_384
_PATCH_PIXELS = 14  # the smallest patch that is a token of its own
_MOST_FILM_OR_SOUND_TOKENS = 32_768
_TOKENS_PER_SECOND = 25  # Qwen2-Audio; others make fewer

_HEAD_BYTES = 96 * 1024  # JPEG may have a thumbnail before its size
_PNG = b"\x89PNG\r\n\x1a\n"
_PCM = frozenset({1, 3})


def picture(value: Any) -> int:
    """Of `image_url` or `input_image`: an address, or an object with one in `url`."""
    address, rest = _taken(value, "url")
    size = _pixels(_head(address.partition(",")[2])) if address.startswith("data:") else None
    if size is None:
        return _MOST_PICTURE_TOKENS + rest
    tokens = math.ceil(size[0] / _PATCH_PIXELS) * math.ceil(size[1] / _PATCH_PIXELS)
    return max(_LEAST_TOKENS, min(_MOST_PICTURE_TOKENS, tokens)) + rest


def sound(value: Any) -> int:
    """Of `input_audio`: an object with base64 in `data`."""
    data, rest = _taken(value, "data")
    seconds = _seconds(_head(data), len(data) * 3 // 4)
    tokens = _MOST_FILM_OR_SOUND_TOKENS if seconds is None else math.ceil(seconds * _TOKENS_PER_SECOND)
    return max(_LEAST_TOKENS, tokens) + rest


def film(value: Any) -> int:
    """Of `video_url`, and of a sound that is only an address."""
    return _MOST_FILM_OR_SOUND_TOKENS + _taken(value, "url")[1]


# By the key of a part that holds it; engines go by this where a part has no `type`.
RULES: Mapping[str, Callable[[Any], int]] = {
    "image_url": picture,
    "input_image": picture,
    "input_audio": sound,
    "audio_url": film,
    "video_url": film,
}


def _taken(value: Any, name: str) -> tuple[str, int]:
    """The text that holds it, and the size of all else that is there."""
    if isinstance(value, str):
        return value, 0
    text = value.get(name) if isinstance(value, dict) else None
    if not isinstance(text, str):
        return "", len(orjson.dumps(value))
    return text, len(orjson.dumps({key: other for key, other in value.items() if key != name}))


def _head(text: str) -> bytes:
    """The first bytes of what is in base64, as far as they can be read."""
    start = text[: _HEAD_BYTES // 3 * 4]
    try:
        return base64.b64decode(start[: len(start) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return b""


def _pixels(head: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG."""
    if head[:8] == _PNG and head[12:16] == b"IHDR" and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    return _jpeg_pixels(head) if head[:2] == b"\xff\xd8" else None


def _jpeg_pixels(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker < 0xC0 or marker == 0xFF or 0xD0 <= marker <= 0xD9:
            return None  # padding, or no segment: decoders differ in what they make of it
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _seconds(head: bytes, size_bytes: int) -> float | None:
    """How long a WAV with samples as they are plays."""
    if head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt " or len(head) < 36:
        return None
    coding: int
    coding, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", head, 20)
    if (
        coding not in _PCM
        or not rate
        or not channels
        or frame_bytes != channels * bits // 8
        or not frame_bytes
    ):
        return None
    return size_bytes / float(rate * frame_bytes)
