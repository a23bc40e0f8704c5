"""The fourth stage: the request goes to an engine, and its answer to the client, all but the last bytes.

Belongs here: the body for the engine, an answer in one piece, a stream whose pieces go on as they come.
Does not: connections and retries (slipway.gateway.routing.upstream), what is changed in an answer
(slipway.gateway.api.answers), the last bytes: they wait until the request is recorded (frame.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp
import orjson

from slipway.gateway.api import asgi, errors
from slipway.gateway.api.answers import Editor, Wants
from slipway.gateway.api.events import AnswerError
from slipway.gateway.api.forms import Form
from slipway.gateway.api.sound_events import SoundEditor
from slipway.gateway.api.usage_count import UsageCount
from slipway.gateway.request import outgoing, raw
from slipway.gateway.request.outgoing import Body, FormBody, WholeBody
from slipway.gateway.request.parse import Asked
from slipway.gateway.request.reply import Reply
from slipway.gateway.request.silence import Silence
from slipway.gateway.routing import upstream
from slipway.gateway.routing.plain import Answer
from slipway.gateway.routing.upstream import Exchange, Upstreams
from slipway.gateway.usage.call import Call, Most
from slipway.records.routes import Route
from slipway.records.usage import Status

_UNITS_OF_SOUND = frozenset({"input_audio_ms", "output_audio_ms", "characters"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ends: what is recorded of it, and the bytes that are sent only after that."""

    status: Status
    error_type: str | None
    last: bytes


async def open_exchange(upstreams: Upstreams, asked: Asked, route: Route, call: Call) -> Exchange:
    """Send the request to an engine of the route; its answer begins. Raises ApiError."""
    body = _body(asked, route, call)
    if not isinstance(asked.body, Form):  # of which it is known when it has been sent
        call.units = asked.operation.units(asked.body)
    if asked.operation.unit in _UNITS_OF_SOUND:
        call.units_by = "gateway"
    else:
        call.most = lambda: _most(asked)
    return await upstreams.open(route, asked.operation.at_engine, body, call)


async def pass_on(response: Answer, asked: Asked, route: Route, call: Call, reply: Reply) -> Ending:
    """Bring the engine's answer to the client. Raises ApiError for an answer that is none."""
    if response.status != 200:
        raise await upstream.refusal(response, route, asked.operation, call.path)
    if isinstance(asked.body, Form) and call.handed_over is None:  # it does not wait for the end
        outgoing.hand_over(asked.body.upload, call)
    answers, content_type = asked.operation.answers, response.content_type
    is_stream = content_type == "text/event-stream"
    if is_stream and isinstance(asked.body, Form):
        call.stream = True  # it may have been asked for behind the file
    if answers.editor is not None and call.stream and is_stream:
        return await _pass_on_stream(answers.editor, response, asked, route, call, reply)
    if content_type != "application/json" and answers.is_raw(asked.body):
        return Ending("success", None, await raw.pass_on(response, route, call, reply))
    return await _whole(response, asked, route, call)


async def _whole(response: Answer, asked: Asked, route: Route, call: Call) -> Ending:
    """An answer in one piece."""
    try:
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise upstream.explained(error, route) from error
    try:
        whole = asked.operation.answers.whole(body, route.model)
    except AnswerError as error:
        raise errors.failed(route.model, str(error)) from error
    if whole is None:
        raise errors.failed(route.model, f"{len(body)} bytes that are no JSON object")
    call.usage = whole.usage
    if whole.units:
        call.units = replace(call.units, **whole.units)
        call.units_by = call.units_by and "engine"
    return Ending("success", None, whole.body)


async def _pass_on_stream(
    edits: Callable[[str, Wants, UsageCount], Editor],
    response: Answer,
    asked: Asked,
    route: Route,
    call: Call,
    reply: Reply,
) -> Ending:
    """A streamed answer: each piece goes on as it comes."""
    per_prompt = asked.body.get("n")
    call.usage = UsageCount(
        several_prompts=asked.several_prompts,
        per_prompt=per_prompt if isinstance(per_prompt, int) else 1,
    )
    editor = edits(route.model, asked.wants, call.usage)
    await reply.begin_stream()
    send, content, silence = reply.send, response.content, Silence(response, route.timeout_s)
    try:
        while not editor.done:
            silence.begins()
            data = await content.readany()
            silence.ends()
            out = editor.feed(data) if data else editor.end()
            if out:
                await asgi.send_part(send, out)
                if editor.tokens:
                    call.note_token()
            if not data:
                break
    except (aiohttp.ClientError, TimeoutError) as error:
        raise upstream.explained(error, route) from error
    except AnswerError as error:
        raise errors.failed(route.model, str(error)) from error
    finally:
        silence.stop()
        if isinstance(editor, SoundEditor) and editor.units:
            call.units, call.units_by = replace(call.units, **editor.units), "engine"
    return _ending(editor, route)


def _ending(editor: Editor, route: Route) -> Ending:
    """How a stream ended that was read to its end. Raises ApiError when it broke off."""
    if editor.error is not None:
        return Ending("server_error", editor.error, editor.last)
    if not (editor.done or editor.finished):
        raise errors.unreachable(route.model, "the answer ended before it was complete")
    return Ending("success", None, editor.last)


def _most(asked: Asked) -> Most:
    """What the request can have used at most."""
    body, reads = asked.body, asked.operation.reads
    output = reads.output_asked(body)
    return Most(
        reads.template_tokens + reads.bound(body), None if output is None else output * reads.answers(body)
    )


def _body(asked: Asked, route: Route, call: Call) -> Body:
    """The body for the engine: its name of the model, and what makes it say what was used."""
    body = asked.body
    body["model"] = route.upstream_model
    asked.operation.answers.ask(body)
    if isinstance(body, Form):
        return FormBody(body, call, route.timeout_s)
    return WholeBody(orjson.dumps(body), call)
