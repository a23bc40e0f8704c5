"""/v1/audio/transcriptions and /v1/audio/translations, whole and streamed.

Belongs here: joining upload, model and transcript. Does not: any of the three.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from slipway.engines.flags import EngineSettings
from slipway.engines.frontend import Handler, RefusedError, Served, while_connected
from slipway.engines.slots import Slots, Stop
from slipway.engines.whisper import transcript, upload
from slipway.engines.whisper.model import WhisperModel
from slipway.engines.whisper.upload import Asked, Task

_TASKS: Mapping[str, Task] = {
    "/v1/audio/transcriptions": "transcribe",
    "/v1/audio/translations": "translate",
}


def handlers(
    model: WhisperModel, settings: EngineSettings, slots: Slots, served: Served
) -> Mapping[str, Handler]:
    """What answers each path."""
    most_bytes = settings.whole("--max-upload-mib") * 2**20

    async def transcribe(request: Request, path: str) -> Response:
        task = _TASKS[path]
        if task == "translate" and not model.is_multilingual:
            told = f"{served.model} understands English alone. Ask a multilingual model for translations."
            raise RefusedError(400, told, "unsupported_value", "model")
        asked = await upload.asked_of(request, served, task, model.languages, most_bytes)
        if asked.stream:
            return await _streamed(request, model, asked, slots)
        try:
            whole = slots.run(lambda stop: _whole(model, asked, stop))
            body = await while_connected(request, whole)
        finally:
            asked.file.close()
        return Response(body, media_type=transcript.MEDIA_TYPES[asked.form])

    return dict.fromkeys(_TASKS, transcribe)


def _whole(model: WhisperModel, asked: Asked, stop: Stop) -> bytes:
    heard, segments = model.transcribe(asked, stop)
    return transcript.written(asked, heard, list(segments))


async def _streamed(request: Request, model: WhisperModel, asked: Asked, slots: Slots) -> Response:
    """The events of a transcript; what is no sound is refused before the stream begins."""
    events = slots.stream(_events_of(model, asked))
    try:
        first = await while_connected(request, anext(events))
    except BaseException:
        await events.aclose()
        asked.file.close()  # it may not have begun
        raise
    return StreamingResponse(_with_first(first, events), media_type="text/event-stream")


def _events_of(model: WhisperModel, asked: Asked) -> Callable[[Stop], Iterator[bytes]]:
    def events(stop: Stop) -> Iterator[bytes]:
        try:
            heard, segments = model.transcribe(asked, stop)
            parts: list[str] = []
            for segment in segments:
                text = segment.text if parts else segment.text.lstrip()
                parts.append(text)
                yield transcript.delta(text)
            yield transcript.done("".join(parts).rstrip(), heard)
        finally:
            asked.file.close()

    return events


async def _with_first(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for event in rest:
            yield event
    except RuntimeError as error:  # of CTranslate2
        yield transcript.failed(f"The engine broke off: {error}.")
    finally:
        await rest.aclose()
