"""Answers that are no JSON: sounds, and transcripts as they are. Each piece goes on as it comes.

Belongs here: passing them on, and what is counted of them. Does not: what is in them (slipway.gateway.api).

A sound that breaks off can say so by nothing but the connection: it is cut, so that no client takes what it
has for all of it.
"""

from __future__ import annotations

from dataclasses import replace

import aiohttp

from slipway.gateway.api import asgi, errors
from slipway.gateway.api.speech import SpokenMeter
from slipway.gateway.request.reply import Reply
from slipway.gateway.request.silence import Silence
from slipway.gateway.routing import upstream
from slipway.gateway.routing.plain import Answer
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route


async def pass_on(response: Answer, route: Route, call: Call, reply: Reply) -> bytes:
    """Bring it to the client; returns the last of it, which waits until the request is recorded.

    Raises ApiError where it is no sound, is empty, or breaks off.
    """
    content_type = response.headers.get("content-type", "application/octet-stream")
    is_sound = call.task == "text-to-speech"
    if is_sound and not response.content_type.startswith(("audio/", "application/octet-stream")):
        raise errors.failed(route.model, f"a sound of the type {content_type[:100]}")
    meter = SpokenMeter(content_type) if is_sound else None
    silence = Silence(response, route.timeout_s)
    try:
        last = await _pieces(response, content_type, silence, meter, route, call, reply)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise upstream.explained(error, route) from error
    finally:
        silence.stop()
        if meter is not None:
            call.units = replace(call.units, output_audio_ms=meter.ms)
    return last


async def _pieces(
    response: Answer,
    content_type: str,
    silence: Silence,
    meter: SpokenMeter | None,
    route: Route,
    call: Call,
    reply: Reply,
) -> bytes:
    content, length = response.content, response.content_length
    piece = await silence.of(content.readany())
    if not piece and meter is not None:
        raise errors.failed(route.model, "an empty sound")
    await reply.begin_raw(content_type.encode("latin-1", errors="replace"), length)
    passed_bytes = 0
    while piece:
        passed_bytes += len(piece)
        if meter is not None:
            meter.feed(piece)
        if passed_bytes == length:
            call.note_token()
            return piece
        await asgi.send_part(reply.send, piece)
        call.note_token()
        piece = await silence.of(content.readany())
    return b""
