"""The forms of a transcript: json, text, srt, vtt, verbose_json, and the events of a streamed one.

Belongs here: pure functions of what was heard and its segments. Does not: hearing (model.py).
Shapes: OpenAI's API reference, audio; subtitles: SubRip and W3C's WebVTT.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from slipway.engines.whisper.model import Heard
from slipway.engines.whisper.upload import Asked

MEDIA_TYPES = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def written(asked: Asked, heard: Heard, segments: Sequence[Any]) -> bytes:
    """The whole transcript in the form that was asked for."""
    if asked.form == "text":
        return f"{text_of(segments)}\n".encode()
    if asked.form == "srt":
        cues = (f"{n}\n{_cue(each, ',')}" for n, each in enumerate(segments, start=1))
        return "".join(cues).encode()
    if asked.form == "vtt":
        return "".join(["WEBVTT\n\n", *(_cue(each, ".") for each in segments)]).encode()
    told: dict[str, Any] = {"text": text_of(segments)}
    if asked.form == "verbose_json":
        told = _verbose(asked, heard, segments, told["text"])
    return orjson.dumps({**told, "usage": usage(heard)})


def text_of(segments: Iterable[Any]) -> str:
    """Their text as one."""
    return "".join(each.text for each in segments).strip()


def usage(heard: Heard) -> dict[str, Any]:
    """Seconds of sound, each begun one counted, as OpenAI's duration."""
    return {"type": "duration", "seconds": math.ceil(heard.seconds)}


def delta(text: str) -> bytes:
    """A piece of a streamed transcript."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done(text: str, heard: Heard) -> bytes:
    """The end of a streamed transcript."""
    return _event({"type": "transcript.text.done", "text": text, "usage": usage(heard)})


def failed(message: str) -> bytes:
    """The end of a transcript that broke off."""
    return _event(
        {"type": "error", "error": {"message": message, "type": "server_error", "code": "engine_failed"}}
    )


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"


def _verbose(asked: Asked, heard: Heard, segments: Sequence[Any], text: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": asked.task,
        "language": _language_name(heard.language),
        "duration": _seconds(heard.seconds),
        "text": text,
    }
    if "word" in asked.granularities:
        words = [word for each in segments for word in each.words or ()]
        told["words"] = [
            {"word": word.word.strip(), "start": _seconds(word.start), "end": _seconds(word.end)}
            for word in words
        ]
    if "segment" in asked.granularities:
        told["segments"] = [_segment(n, each) for n, each in enumerate(segments)]
    return told


def _segment(number: int, segment: Any) -> dict[str, Any]:
    return {
        "id": number,
        "seek": segment.seek,
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _seconds(instant: float) -> float:
    """Thousandths of a second are told; numbers of numpy among them become Python's."""
    return round(float(instant), 3)


def _cue(segment: Any, mark: str) -> str:
    # An arrow or an empty line in a text would end its cue.
    text = " ".join(segment.text.replace("-->", "->").split())
    return f"{_clock(segment.start, mark)} --> {_clock(segment.end, mark)}\n{text}\n\n"


def _clock(seconds: float, mark: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{milliseconds:03}"


# OpenAI names a language; the rest go by their code.
_NAMES = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi", "hu": "hungarian",
    "id": "indonesian", "it": "italian", "ja": "japanese", "ko": "korean", "nl": "dutch", "no": "norwegian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "th": "thai",
    "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese", "zh": "chinese",
}  # fmt: skip


def _language_name(code: str) -> str:
    return _NAMES.get(code, code)
