"""Speech to text: what a request may use at most, and where its answers say what was used.

Belongs here: checks, bounds and answers of transcriptions and translations.
Does not: the form (forms.py), events of a stream (sound_events.py).
"""

from __future__ import annotations

from slipway.gateway.api import sound_events
from slipway.gateway.api.answer_json import document_of, named
from slipway.gateway.api.answers import Answers, Wants, Whole
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.forms import Form, is_true
from slipway.gateway.api.prompts import Reads
from slipway.gateway.api.usage_count import UsageCount
from slipway.records.usage import NO_UNITS, Units

# Of the field `response_format`: whose answers are a text, not JSON.
_TEXTS = frozenset({"text", "srt", "vtt"})
# Whisper reads 50 frames a second, more than others, and writes 448 tokens of each 30 seconds at most.
_TOKENS_PER_S = 65
_ASK = ("stream_include_usage", "stream_continuous_usage_stats")


def check(_: Body) -> None:
    """Nothing but the model and the file is relied on; the form has seen to both."""


def units(body: Body) -> Units:
    """The sound, as long as it is or can be by its bytes."""
    return Units(input_audio_ms=body.upload.sound_ms()[0]) if isinstance(body, Form) else NO_UNITS


def wants(body: Body) -> Wants:
    """Which counts a client asked to see in a stream: vLLM's fields."""
    usage = is_true(body.get(_ASK[0]))
    return Wants(usage, timings=False, running=usage and is_true(body.get(_ASK[1])))


def is_streamed(body: Body) -> bool:
    """Whether a stream is asked for."""
    return is_true(body.get("stream"))


def is_text(body: Body) -> bool:
    """Whether an answer is a text as it is."""
    return str(body.get("response_format", "")).strip().lower() in _TEXTS


def _whole(body: bytes, model: str) -> Whole | None:
    document = document_of(body, answer="text")
    if document is None:
        return None
    count, usage = UsageCount(), document.get("usage")
    sound_events.note_tokens(usage, count)
    units = sound_events.heard(usage) or sound_events.of_seconds(document.get("duration"))
    return Whole(named(body, document, model), count, units)


def _ask_usage(body: Body) -> None:
    """Have vLLM count in every chunk of a stream; others do not know the fields."""
    if is_streamed(body):
        body.update(dict.fromkeys(_ASK, "true"))


def _tokens_of(body: Body) -> int:
    if not isinstance(body, Form):
        return 0
    return -(-body.upload.sound_ms()[0] * _TOKENS_PER_S // 1000)


READS = Reads(frozenset(), lambda body: [body], _tokens_of, lambda _: False, 512, output=())
ANSWERS = Answers(_whole, sound_events.SoundEditor, _ask_usage, is_text)
