"""A fake engine of speech, without a model: it hears how many bytes it was sent, and speaks noise.

Belongs here: answers of both directions in every shape that engines give them, and how they fail.
Does not: other tasks (fake_engine.py).
"""

import asyncio
import base64
import hashlib
import io
import json
import wave
from typing import Any

from aiohttp import BodyPartReader, web

from testbed.engines.fake_server import FakeServer

SECONDS = 2.5  # that it says it has heard
PIECES = 4  # of a sound that it speaks
PIECE = bytes(range(256)) * 50


class FakeSoundEngine(FakeServer):
    """Remembers the fields and the file's digest of each upload. A model's name says how it answers:

    `seconds`, `tokens`, `uncounted`; `refuses-early` before it has read the file; `no-audio` after it;
    `dies-in-upload`, `dies-midway`, `never-reads`; `empty`, `page` (HTML). `length` announces its sound's.
    """

    runner_options = {"handler_cancellation": True}

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.broken = 0  # uploads that did not come to their end

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The three paths of sound."""
        router.add_post("/v1/audio/transcriptions", self._hear)
        router.add_post("/v1/audio/translations", self._hear)
        router.add_post("/v1/audio/speech", self._speak)

    async def _hear(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, Any] = {"length": request.headers.get("content-length")}
        digest, size_bytes = hashlib.sha256(), 0
        try:
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                assert part.name is not None
                if part.name != "file":
                    form.setdefault(part.name, []).append(await part.text())
                    continue
                model = form.get("model", [""])[0]
                if model == "refuses-early":
                    return _refusal(413, "the file is too large")
                if model == "never-reads":
                    await asyncio.sleep(60)
                form["filename"] = part.filename
                while piece := await part.read_chunk(65_536):
                    digest.update(piece)
                    size_bytes += len(piece)
                    if model == "dies-in-upload" and size_bytes > 200_000:
                        _cut(request)
        except (ConnectionError, asyncio.CancelledError, web.RequestPayloadError, ValueError):
            self.broken += 1
            raise
        form |= {"digest": digest.hexdigest(), "size": size_bytes}
        self.forms.append(form)
        return await self._heard(request, form)

    async def _heard(self, request: web.Request, form: dict[str, Any]) -> web.StreamResponse:
        model = form["model"][0]
        kind = form.get("response_format", ["json"])[0]
        if model == "no-audio":
            return _refusal(400, "the file cannot be decoded")
        if form.get("stream", ["false"])[0].lower() == "true":
            return await self._stream_text(request, form, model)
        if kind in {"text", "srt", "vtt"}:
            return web.Response(text="1\n00:00 --> 00:02\nla la\n", content_type="text/plain")
        if model == "page":
            return web.Response(text="<html>", content_type="text/html")
        answer: dict[str, Any] = {"text": "la la"}
        if kind == "verbose_json":
            answer |= {"duration": str(SECONDS), "language": "en"}
        elif model == "seconds":
            answer["usage"] = {"type": "duration", "seconds": SECONDS}
        elif model == "tokens":
            answer["usage"] = _tokens()
        return web.json_response(answer)

    async def _stream_text(
        self, request: web.Request, form: dict[str, Any], model: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if "chunks" in model:  # vLLM's way
            head = {"id": "1", "object": "transcription.chunk", "model": model}
            counted = form.get("stream_include_usage") == ["true"]
            for word in ("la", " la"):
                choice = {"delta": {"content": word}, "finish_reason": None}
                await _event(response, {**head, "choices": [choice]})
            await _event(response, {**head, "choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]})
            if counted:
                usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
                await _event(response, {**head, "choices": [], "usage": usage})
            await response.write(b"data: [DONE]\n\n")
            return response
        for word in ("la", " la"):
            await _event(response, {"type": "transcript.text.delta", "delta": word})
        if model == "dies-midway":
            _cut(request)
            return response
        said = {"seconds": {"type": "duration", "seconds": SECONDS}, "tokens": _tokens()}
        done = {"type": "transcript.text.done", "text": "la la"}
        await _event(response, done | ({"usage": said[model]} if model in said else {}))
        return response

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model, kind = body["model"], body.get("response_format", "mp3")
        if model == "page":
            return web.Response(text="<html>", content_type="text/html")
        if body.get("stream_format") == "sse":
            return await self._stream_sound(request)
        content_type = {"pcm": "audio/pcm", "wav": "audio/wav"}.get(kind, "audio/mpeg")
        response = web.StreamResponse(headers={"content-type": content_type})
        head = _wav_head() if kind == "wav" else b""
        if model == "length":
            response.content_length = len(head) + PIECES * len(PIECE)
        await response.prepare(request)
        if model == "empty":
            return response
        for number in range(PIECES):
            await response.write(head + PIECE if number == 0 else PIECE)
            if model == "dies-midway" and number == 1:
                await asyncio.sleep(0.05)
                _cut(request)
                return response
            await asyncio.sleep(0.01)
        return response

    async def _stream_sound(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(PIECES):
            await _event(response, {"type": "speech.audio.delta", "audio": base64.b64encode(PIECE).decode()})
        await _event(response, {"type": "speech.audio.done", "usage": _tokens()})
        return response


def _cut(request: web.Request) -> None:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()


def _tokens() -> dict[str, Any]:
    return {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


def _wav_head() -> bytes:
    """Of a sound whose length is not known yet: 24,000 samples a second, 16 bits, one channel."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
    head = bytearray(written.getvalue())
    head[4:8] = head[40:44] = b"\xff" * 4
    return bytes(head)


async def _event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(data)}\n\n".encode())
