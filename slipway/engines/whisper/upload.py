"""The form of a transcription: its fields, read from multipart, and its file.

Belongs here: reading and judging fields, the bound of an upload. Does not: what the file holds (sound.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal, cast, get_args

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from slipway.engines.frontend import RefusedError, Served, refused, require_model

Form = Literal["json", "text", "srt", "vtt", "verbose_json"]
Task = Literal["transcribe", "translate"]

_MOST_FIELDS = 64
_FIELD_BYTES = 64 * 1024
_GRANULARITIES = ("segment", "word")


@dataclass(frozen=True)
class Asked:
    """What is asked of a file; `granularities` are of verbose_json alone."""

    model: str
    file: BinaryIO
    task: Task
    form: Form = "json"
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    granularities: frozenset[str] = frozenset({"segment"})
    stream: bool = False


async def asked_of(
    request: Request, served: Served, task: Task, languages: frozenset[str], most_bytes: int
) -> Asked:
    """The request, with its file on disk; raises RefusedError. Whoever calls closes the file."""
    form = await _form(request, most_bytes)
    try:
        return _asked(form, served, task, languages)
    except RefusedError:
        await form.close()
        raise


async def _form(request: Request, most_bytes: int) -> FormData:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RefusedError(400, "The body is no multipart/form-data with a file.", "invalid_multipart")
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most_bytes + _MOST_FIELDS * _FIELD_BYTES:
            raise RefusedError(
                413,
                f"The upload is longer than {most_bytes} bytes. Send less at once.",
                "request_too_large",
                "file",
            )
        return message

    try:
        return await Request(request.scope, receive).form(
            max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
        )
    except Exception as error:
        told = _cause(error)
        if told is None:
            raise
        raise RefusedError(400, f"The multipart body cannot be read: {told}.", "invalid_multipart") from error


def _cause(error: Exception) -> str | None:
    """What is wrong with a form, in a parser's words; None for what is no fault of the form."""
    from python_multipart.exceptions import FormParserError
    from starlette.exceptions import HTTPException

    if isinstance(error, HTTPException):
        return str(error.detail).rstrip(".")
    if isinstance(error, MultiPartException):
        return error.message.rstrip(".")
    return (
        str(error).rstrip(".") if isinstance(error, FormParserError | KeyError | UnicodeDecodeError) else None
    )


def _asked(form: FormData, served: Served, task: Task, languages: frozenset[str]) -> Asked:
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    model = require_model(fields.get("model"), served)
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise refused("file", "is missing. Send the sound as a file.")
    if not upload.size:
        raise refused("file", "is empty. Send the sound as a file.")
    chosen = frozenset(
        value
        for name in ("timestamp_granularities[]", "timestamp_granularities")
        for value in form.getlist(name)
        if isinstance(value, str)
    )
    asked = Asked(
        model,
        upload.file,
        task,
        form=_form_of(fields),
        language=_language(fields, languages) if task == "transcribe" else None,
        prompt=fields.get("prompt") or None,
        temperature=_temperature(fields),
        granularities=chosen or frozenset({"segment"}),
        stream=fields.get("stream", "").lower() in ("true", "1"),
    )
    _require_one(asked)
    return asked


def _require_one(asked: Asked) -> None:
    unknown = asked.granularities - set(_GRANULARITIES)
    if unknown:
        raise refused("timestamp_granularities", f"holds {min(unknown)!r}. Send segment, word or both.")
    if "word" in asked.granularities and asked.form != "verbose_json":
        raise refused("timestamp_granularities", "holds word, which needs response_format=verbose_json.")
    if asked.stream and asked.form not in ("json", "text"):
        raise refused("response_format", f"is {asked.form}, which is not streamed. Send json, or no stream.")


def _form_of(fields: Mapping[str, str]) -> Form:
    form = fields.get("response_format") or "json"
    if form not in get_args(Form):
        raise refused("response_format", f"is {form!r}. Send one of {', '.join(get_args(Form))}.")
    return cast("Form", form)


def _language(fields: Mapping[str, str], languages: frozenset[str]) -> str | None:
    language = fields.get("language", "").lower() or None
    if language is not None and language not in languages:
        raise refused(
            "language", f"is {language!r}, which this model does not know. Send an ISO-639-1 code such as en."
        )
    return language


def _temperature(fields: Mapping[str, str]) -> float:
    try:
        temperature = float(fields.get("temperature") or 0)
    except ValueError:
        temperature = -1
    if not 0 <= temperature <= 1:
        raise refused("temperature", f"is {fields['temperature']!r}. Send a number from 0 to 1.")
    return temperature
