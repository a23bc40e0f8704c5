"""vLLM with a Whisper: transcriptions and translations, whole and streamed, and through the gateway."""

from __future__ import annotations

import io
import math
import struct
import uuid
import wave
from collections.abc import Callable, Mapping

import pytest

from slipway.gateway.api.operations import OPERATIONS
from testbed.vllm import serving

from .conftest import Gateway, Reply, ask, resolved, route
from .promises import is_valid

NAME = "tiny/whisper"
SECONDS = 1.5
RATE = 16_000
# The model makes up words until it may say no more; a temperature would make them others each time.
ALWAYS = {"language": "en", "temperature": "0", "seed": "1"}
ASKED: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("transcription", "/v1/audio/transcriptions", ALWAYS),
    (
        "transcription with its parts",
        "/v1/audio/transcriptions",
        {**ALWAYS, "response_format": "verbose_json"},
    ),
    ("transcription, streamed", "/v1/audio/transcriptions", {**ALWAYS, "stream": "true"}),
    ("translation", "/v1/audio/translations", ALWAYS),
    ("translation, streamed", "/v1/audio/translations", {**ALWAYS, "stream": "true"}),
)


@pytest.fixture(scope="module")
def engine(serve: Callable[..., serving.Serving], gateway: Gateway) -> serving.Serving:
    started = serve("whisper")
    gateway.route(route(NAME, started.url, "whisper"))
    return started


def tone() -> bytes:
    """A WAV file."""
    samples = (int(9000 * math.sin(step / 20)) for step in range(int(SECONDS * RATE)))
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(RATE)
        written.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


def form(fields: Mapping[str, str], file: bytes) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its header."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="tone.wav"\r\n'
    parts.append(head.encode() + b"content-type: audio/wav\r\n\r\n" + file + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def said(reply: Reply, streamed: bool) -> str:
    if not streamed:
        text: str = reply.json["text"]
        return text
    chunks = [
        event["choices"][0]["delta"].get("content") or "" for event in reply.events if event.get("choices")
    ]
    return "".join(chunks)


@pytest.mark.parametrize(("path", "fields"), [each[1:] for each in ASKED], ids=[each[0] for each in ASKED])
def test_vllm_answers_and_the_gateway_passes_it_on(
    path: str, fields: Mapping[str, str], engine: serving.Serving, gateway: Gateway
) -> None:
    body, header = form({"model": "whisper", **fields}, tone())
    direct = ask(engine.url + path, body, header)
    assert direct.status == 200, direct.body
    assert said(direct, "stream" in fields)
    if path not in OPERATIONS:
        pytest.skip(f"the gateway does not pass on {path} yet")
    gateway.new_events()
    body, header = form({"model": NAME, **fields}, tone())
    reply = gateway.ask(path, body, headers=header)
    assert reply.status == 200, reply.body
    assert said(reply, "stream" in fields) == said(direct, "stream" in fields)
    (event,) = gateway.new_events()
    assert (event["status"], event["model"], event["task"]) == ("success", NAME, "speech-to-text")
    # vLLM tells whole seconds, and where it tells none the length of what was sent counts.
    assert SECONDS * 1000 <= event["input_audio_ms"] <= math.ceil(SECONDS) * 1000, event


def test_what_is_no_audio_is_the_clients_error(engine: serving.Serving, gateway: Gateway) -> None:
    body, header = form({"model": "whisper", **ALWAYS}, b"not audio" * 100)
    assert ask(engine.url + "/v1/audio/transcriptions", body, header).status == 400
    if "/v1/audio/transcriptions" not in OPERATIONS:
        pytest.skip("the gateway does not pass on transcriptions yet")
    gateway.new_events()
    body, header = form({"model": NAME, **ALWAYS}, b"not audio" * 100)
    reply = gateway.ask("/v1/audio/transcriptions", body, headers=header)
    assert reply.status == 400
    assert reply.json["error"]["message"]
    (event,) = gateway.new_events()
    assert event["status"] == "client_error"


def test_a_revision_of_it_passes_validation(engine: serving.Serving) -> None:
    is_valid(resolved("whisper"), f"{engine.url}/v1")
