"""Text to speech: what is checked of a request, how its characters count, how its sound is measured.

Belongs here: checks, bounds and answers of speech. Does not: containers of sound (sound.py), passing them on
(slipway.gateway.request.raw).
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.api import sound_events
from slipway.gateway.api.answers import Answers, Whole
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import invalid
from slipway.gateway.api.prompts import Reads
from slipway.gateway.api.sound import MOST_MS, SoundMeter
from slipway.records.usage import Units

# OpenAI's `pcm`: 16 bits, one channel. An engine that has another rate says so in its Content-Type.
_PCM_RATE = 24_000
_PCM_KINDS = frozenset({"audio/pcm", "audio/l16", "audio/x-pcm"})


def check(body: Body) -> None:
    """The fields of a request."""
    text = body.get("input")
    if not isinstance(text, str) or not text:
        raise invalid("`input` must be a string of at least one character: the text to speak.", "input")
    if not isinstance(body.get("stream_format"), str | None):
        raise invalid("`stream_format` must be `audio` or `sse`.", "stream_format")
    if not isinstance(body.get("response_format"), str | None):
        raise invalid("`response_format` must be a string, such as `wav`.", "response_format")


def units(body: Body) -> Units:
    """The characters to speak: Unicode code points, whatever they are."""
    return Units(characters=len(body["input"]))


class SpokenMeter:
    """How long the sound of an answer plays, as far as its bytes tell."""

    def __init__(self, content_type: str) -> None:
        kind, *options = (part.strip().lower() for part in content_type.split(";"))
        self._bytes_per_s = _pcm_rate(options) if kind in _PCM_KINDS else None
        self._sound = SoundMeter()

    def feed(self, data: bytes) -> None:
        """Some more of it."""
        self._sound.feed(data)

    @property
    def ms(self) -> int:
        """So far; 0 where that cannot be told."""
        if self._bytes_per_s is not None:
            return min(round(self._sound.size_bytes * 1000 / self._bytes_per_s), MOST_MS)
        return self._sound.measured_ms() or 0


def _pcm_rate(options: list[str]) -> int:
    said = {"rate": _PCM_RATE, "channels": 1}
    for option in options:
        name, _, value = option.partition("=")
        if name in said and value.isascii() and value.isdigit() and 0 < int(value) < 10**6:
            said[name] = int(value)
    return 2 * said["rate"] * said["channels"]


def _whole(_: bytes, __: str) -> Whole | None:
    return None  # a document is no sound


def _text(body: Body) -> list[Any]:
    return [body["input"]]


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


READS = Reads(frozenset({"input"}), _text, _bytes, lambda _: True, template_tokens=0, output=())
ANSWERS = Answers(_whole, sound_events.SoundEditor, is_raw=lambda _: True)
