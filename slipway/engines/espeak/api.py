"""/v1/audio/speech, in OpenAI's shape, spoken sentence by sentence.

Belongs here: its fields, voices by OpenAI's names, the stream. Does not: speaking (speakers.py), formats of
sound (sound.py).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from slipway.engines.espeak import sound
from slipway.engines.espeak.speakers import Speakers, SpeakingError
from slipway.engines.espeak.text import sentences
from slipway.engines.flags import EngineSettings
from slipway.engines.frontend import Handler, RefusedError, Served, asked_of, refused, while_connected
from slipway.engines.slots import Slots, Stop

# Words a minute at speed 1, and what eSpeak NG takes.
_WORDS_PER_MINUTE, _SLOWEST, _FASTEST = 160, 80, 450

# OpenAI's voices, which its clients name by default: a variant of the default language each.
_OPENAI_VOICES: Mapping[str, str] = {
    "alloy": "", "ash": "m1", "ballad": "m2", "cedar": "m3", "coral": "f1", "echo": "m3", "fable": "f4",
    "marin": "f2", "nova": "f2", "onyx": "m1", "sage": "f3", "shimmer": "f3", "verse": "m2",
}  # fmt: skip
_SOUNDS = re.compile(r"\w")


@dataclass(frozen=True)
class Asked:
    """What is to be spoken, and how."""

    text: str
    voice: str
    words_per_minute: int
    form: str


def handlers(
    speakers: Speakers, settings: EngineSettings, slots: Slots, served: Served
) -> Mapping[str, Handler]:
    """What answers each path."""

    async def speech(request: Request, _path: str) -> Response:
        asked = understood(await asked_of(request, served), speakers, settings)
        stream = slots.stream(_spoken(speakers, asked))
        try:
            # The first sound before the first byte: what is not spoken is an error, and no silence.
            first = await while_connected(request, _first(stream))
        except SpeakingError as error:
            raise RefusedError(500, f"eSpeak NG: {error}.", "engine_failed") from error
        return StreamingResponse(_with_first(first, stream), media_type=sound.MEDIA_TYPES[asked.form])

    return {"/v1/audio/speech": speech}


def understood(asked: Mapping[str, Any], speakers: Speakers, settings: EngineSettings) -> Asked:
    """The request's fields; raises RefusedError."""
    text, most = asked.get("input"), settings.whole("--max-characters")
    if not isinstance(text, str) or not _SOUNDS.search(text):
        raise refused("input", "is missing, or nothing that can be spoken. Send a text.")
    if len(text) > most:
        raise refused("input", f"has {len(text)} characters. Send at most {most} at once.")
    if asked.get("stream_format") not in (None, "audio"):
        raise refused("stream_format", f"is {asked['stream_format']!r}, and this engine streams audio alone.")
    form = asked.get("response_format") or "mp3"
    if form not in sound.MEDIA_TYPES:
        raise refused("response_format", f"is {form!r}. Send one of {', '.join(sound.MEDIA_TYPES)}.")
    voice = _voice(asked.get("voice"), settings.text("--voice"), speakers)
    return Asked(text, voice, _rate(asked.get("speed")), form)


def _voice(name: object, default: str, speakers: Speakers) -> str:
    """`<language>` or `<language>+<variant>`, as eSpeak NG names a voice."""
    if name is None or name == "":
        return default
    if not isinstance(name, str):
        raise refused("voice", f"is {name!r}. Send the name of a voice.")
    if name in _OPENAI_VOICES:
        variant = _OPENAI_VOICES[name]
        language = default.partition("+")[0]
        return f"{language}+{variant}" if variant in speakers.variants else language
    language, _, variant = name.partition("+")
    if language not in speakers.languages or (variant and variant not in speakers.variants):
        known = ", ".join(sorted(speakers.languages)[:40])
        raise refused(
            "voice", f"is {name!r}. Send one of {known}, with +f1, +m1 and so on, or one of OpenAI's."
        )
    return name


def _rate(speed: object) -> int:
    slowest, fastest = _SLOWEST / _WORDS_PER_MINUTE, _FASTEST / _WORDS_PER_MINUTE
    if speed is None:
        return _WORDS_PER_MINUTE
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not slowest <= speed <= fastest:
        raise refused(
            "speed", f"is {speed!r}. This voice speaks at {slowest:g} to {fastest:g} times its pace."
        )
    return round(_WORDS_PER_MINUTE * speed)


def _spoken(speakers: Speakers, asked: Asked) -> Callable[[Stop], Iterator[bytes]]:
    """The sound of all sentences; no further one is begun when nobody listens."""

    def samples(stop: Stop) -> Iterator[bytes]:
        with speakers.one() as speaker:
            for sentence in sentences(asked.text):
                if stop.requested:
                    return
                # To its end, so that the process is free for the next.
                yield from list(speaker.speak(sentence, asked.voice, asked.words_per_minute))

    return lambda stop: sound.written(asked.form, samples(stop), speakers.rate_hz)


async def _first(stream: AsyncGenerator[bytes, None]) -> bytes:
    """A WAV file's header and its first sound; of other formats the first bytes."""
    try:
        first = await anext(stream)
        return first + await anext(stream, b"") if len(first) == len(sound.wav_header()) else first
    except BaseException:
        await stream.aclose()
        raise


async def _with_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for part in rest:
            yield part
    finally:
        await rest.aclose()
