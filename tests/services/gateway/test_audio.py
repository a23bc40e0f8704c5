"""Speech both ways through a real gateway, with the openai SDK and by hand; the engine is a fake."""

import asyncio
import hashlib
import http.client
import io
import json
import secrets
import socket
import time
import wave
from collections.abc import Iterator

import openai
import pytest

from testbed.engines.fake_sound_engine import PIECE, PIECES, SECONDS, FakeSoundEngine

HEARS = "speech-to-text"
SPEAKS = "text-to-speech"
MODELS = (
    "seconds", "tokens", "uncounted", "chunks", "refuses-early", "no-audio", "dies-in-upload", "dies-midway",
    "never-reads", "page",
)  # fmt: skip
_TIMEOUTS_S = {"never-reads": 0.5}


@pytest.fixture(scope="session")
def shared_sound() -> Iterator[FakeSoundEngine]:
    with FakeSoundEngine() as fake:
        yield fake


@pytest.fixture
def sound(shared_sound, gateway, route) -> FakeSoundEngine:
    """The fake, routed under its names: `hears-...` and `speaks-...`."""
    shared_sound.forms.clear()
    shared_sound.broken = 0
    heard = [
        route(
            f"hears-{name}",
            shared_sound.url,
            upstream_model=name,
            task=HEARS,
            timeout_s=_TIMEOUTS_S.get(name, 30),
        )
        for name in MODELS
    ]
    spoken = [
        route(f"speaks-{name}", shared_sound.url, upstream_model=name, task=SPEAKS)
        for name in ("plain", "length", "dies-midway", "empty", "page")
    ]
    gateway.route(*heard, *spoken)
    return shared_sound


def wav(seconds: float) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(secrets.token_bytes(round(seconds * 16_000) * 2))
    return written.getvalue()


def form(*parts: tuple[str, str | bytes], boundary: str = "x" * 20) -> bytes:
    """A form as curl writes it; bytes are a file."""
    written = b""
    for name, value in parts:
        file = '; filename="a.wav"' if isinstance(value, bytes) else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        written += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return written + f"--{boundary}--\r\n".encode()


def connected(gateway, path: str, length: int | None, **more: str) -> http.client.HTTPConnection:
    """A client that has sent the head of an upload."""
    client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    client.putrequest("POST", path)
    headers = {
        "authorization": f"Bearer {gateway.secrets['acme']}",
        "content-type": f"multipart/form-data; boundary={'x' * 20}",
        **({"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}),
        **more,
    }
    for name, value in headers.items():
        client.putheader(name.replace("_", "-"), value)
    client.endheaders()
    return client


def sent(gateway, body: bytes, path: str = "/v1/audio/transcriptions", **more: str) -> tuple[int, dict]:
    client = connected(gateway, path, len(body), **more)
    client.send(body)
    answer = client.getresponse()
    said = answer.read()
    client.close()
    return answer.status, json.loads(said)


def the_event(gateway) -> dict:
    """The one event of the test's one request; nothing of it is left."""
    until = time.monotonic() + 10
    while gateway.status()["in_flight"] and time.monotonic() < until:
        time.sleep(0.02)
    (event,) = gateway.events()
    status = gateway.status()
    assert not status["in_flight"]
    assert not status["reserved_tokens"]
    return {"input_audio_ms": 0, "output_audio_ms": 0, "characters": 0, **event}


def test_the_sdk_has_speech_heard_and_the_engines_own_seconds_count(gateway, sound):
    file = wav(1.0)
    heard = gateway.client("acme").audio.transcriptions.create(
        file=("talk.wav", file),
        model="hears-seconds",
        language="en",
        timestamp_granularities=["word", "segment"],
    )
    assert heard.text == "la la"
    (got,) = sound.forms
    assert got["digest"] == hashlib.sha256(file).hexdigest()
    assert (got["model"], got["language"], got["filename"]) == (["seconds"], ["en"], "talk.wav")
    assert got["timestamp_granularities[]"] == ["word", "segment"]
    event = the_event(gateway)
    assert (event["status"], event["counted_by"]) == ("success", "engine")
    assert event["input_audio_ms"] == SECONDS * 1000
    assert (event["task"], event["input_tokens"], event["ttft_us"]) == (HEARS, 0, None)


def test_the_sdk_has_speech_translated_and_a_verbose_answers_duration_counts(gateway, sound):
    client = gateway.client("acme")
    said = client.audio.translations.create(
        file=("a.wav", wav(1.0)), model="hears-uncounted", response_format="verbose_json"
    )
    assert said.text == "la la"
    assert the_event(gateway)["input_audio_ms"] == SECONDS * 1000


@pytest.mark.parametrize(
    ("model", "counts"),
    [("seconds", (2500, 0, "engine")), ("tokens", (1000, 45, "gateway")), ("chunks", (1000, 2, "gateway"))],
)
def test_a_transcript_is_streamed_to_the_sdk_and_counted(gateway, sound, model, counts):
    stream = gateway.client("acme").audio.transcriptions.create(
        file=("a.wav", wav(1.0)), model=f"hears-{model}", stream=True
    )
    events = list(stream)
    assert len(events) == 3
    event = the_event(gateway)
    assert event["stream"]
    assert 0 < event["ttft_us"] <= event["duration_us"]
    assert (event["input_audio_ms"], event["output_tokens"], event["counted_by"]) == counts


@pytest.mark.parametrize(
    ("file", "expected"), [(wav(1.5), (1500, "gateway")), (b"mp4 or so" * 100, (1800, "bound"))]
)
def test_of_a_text_without_a_count_the_sound_itself_counts_or_its_bytes(gateway, sound, file, expected):
    said = gateway.client("acme").audio.transcriptions.create(
        file=("a.wav", file), model="hears-uncounted", response_format="srt"
    )
    assert said == "1\n00:00 --> 00:02\nla la\n"
    event = the_event(gateway)
    assert (event["input_audio_ms"], event["counted_by"]) == expected


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_a_model_that_comes_after_the_file_is_found(gateway, sound, size):
    file = secrets.token_bytes(size)
    status, _ = sent(gateway, form(("file", file), ("model", "hears-seconds"), ("prompt", "é")))
    assert status == 200
    (got,) = sound.forms
    assert got["digest"] == hashlib.sha256(file).hexdigest()
    assert (got["model"], got["prompt"]) == (["seconds"], ["é"])
    assert got["length"] is not None
    assert the_event(gateway)["status"] == "success"


def test_what_the_gateway_has_settled_is_not_changed_behind_the_file(gateway, sound):
    late = (("stream_include_usage", "false"), ("cache_salt", "mine"), ("prompt", "late"))
    first = (("model", "hears-chunks"), ("stream", "true"), ("cache_salt", "mine"))
    client = connected(gateway, "/v1/audio/transcriptions", len(form(*first, ("file", b"x" * 10**6), *late)))
    client.send(form(*first, ("file", b"x" * 10**6), *late))
    assert client.getresponse().read().endswith(b"data: [DONE]\n\n")
    client.close()
    (got,) = sound.forms
    assert (got["stream_include_usage"], got["prompt"]) == (["true"], ["late"])
    assert "cache_salt" not in got
    assert the_event(gateway)["output_tokens"] == 2


def test_a_large_file_is_passed_on_while_it_comes(gateway, sound):
    first, rest = form(("model", "hears-refuses-early"), ("file", secrets.token_bytes(3_000_000))), b""
    first, rest = first[:1_000_000], first[1_000_000:]
    client = connected(gateway, "/v1/audio/transcriptions", len(first) + len(rest))
    client.send(first)
    answer = client.getresponse()  # of an engine that has seen no end of it
    assert answer.status == 413
    assert json.loads(answer.read())["error"]["message"] == "the file is too large"
    client.close()
    assert the_event(gateway)["status"] == "client_error"


MALFORMED = (
    ((("file", b"x" * 500),), "`model` is missing"),
    ((("model", "hears-seconds"),), "`file` is missing"),
    ((("model", "hears-seconds"), ("model", "hears-tokens"), ("file", b"x")), "`model` is there twice"),
    ((("model", b"hears-seconds"), ("file", b"x")), "`model` must be a field of text"),
    ((("model", ""), ("file", b"x" * 500)), "`model` must be a string"),
    ((("prompt", "x" * 2**21), ("model", "hears-seconds"), ("file", b"x")), "fields beside the file exceed"),
    (tuple(("a", "b") for _ in range(300)), "more than 256 parts"),
    ((("model", "hears-seconds"), ("file", b"x" * 10**6), ("model", "hears-tokens")), "is there twice"),
)


def test_a_form_that_is_not_as_it_must_be_is_refused(gateway, sound):
    for parts, message in MALFORMED:
        status, said = sent(gateway, form(*parts))
        assert status in {400, 413}, message
        assert message in said["error"]["message"]
    assert [event["status"] for event in gateway.events()] == ["client_error"] * len(MALFORMED)
    assert not sound.forms


NO_FORMS = (
    (form(("model", "hears-seconds"), ("file", b"x" * 500))[:-10], None),
    (form(("model", "hears-seconds"), ("file", b"x" * 10**6))[:-10], None),
    (form(("model", "hears-seconds"), ("file", b"x" * 500), boundary="other"), None),
    (b"", None),
    (b"x" * 10**6, None),
    (b'{"model": "hears-seconds"}', "application/json"),
    (form(("model", "hears-seconds")), "multipart/form-data"),
    (form(("model", "hears-seconds")), "multipart/form-data; boundary=" + "y" * 300),
    (form(("model", "hears-seconds")).replace(b"name=", b"nome="), None),
    (form(("model", "hears-seconds")).replace(b"form-data;", b"attachment;"), None),
    (
        form(("model", "hears-seconds")).replace(b"\r\n\r\n", b"\r\n" + b"a" * 10_000 + b": b\r\n\r\n", 1),
        None,
    ),
)


def test_what_is_no_whole_form_is_refused(gateway, sound):
    for body, content_type in NO_FORMS:
        status, said = sent(gateway, body, **({"content-type": content_type} if content_type else {}))
        assert (status, said["error"]["type"]) == (400, "invalid_request_error"), body[:200]
    assert [event["status"] for event in gateway.events()] == ["client_error"] * len(NO_FORMS)
    assert not sound.forms


def test_two_gigabytes_before_the_model_are_refused_at_once(gateway, sound):
    head = form(("file", b""))[:-28]
    client = connected(gateway, "/v1/audio/transcriptions", 2 * 2**30)
    client.send(head)
    answer = client.getresponse()
    assert answer.status == 413
    assert "exceeds" in json.loads(answer.read())["error"]["message"]
    client.close()
    client = connected(gateway, "/v1/audio/transcriptions", 2**30)
    client.send(head + b"x" * 300_000)
    answer = client.getresponse()
    assert answer.status == 400
    assert "Send `model` before `file`" in json.loads(answer.read())["error"]["message"]
    client.close()
    assert [event["status"] for event in gateway.events()] == ["client_error"] * 2


def test_audio_that_is_none_is_refused_in_the_engines_words(gateway, sound):
    with pytest.raises(openai.BadRequestError, match="cannot be decoded"):
        gateway.client("acme").audio.transcriptions.create(
            file=("a.wav", b"no sound"), model="hears-no-audio"
        )
    event = the_event(gateway)
    assert (event["status"], event["input_audio_ms"], event["counted_by"]) == ("client_error", 0, "none")


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("dies-in-upload", 502, "upstream_unreachable"), ("never-reads", 504, "upstream_timeout"),
     ("page", 502, "upstream_error")],
)  # fmt: skip
def test_an_engine_that_fails_in_an_upload_is_told_and_recorded(gateway, sound, model, status, code):
    got, said = sent(gateway, form(("model", f"hears-{model}"), ("file", secrets.token_bytes(20_000_000))))
    assert (got, said["error"]["code"]) == (status, code)
    event = the_event(gateway)
    assert (event["status"], event["counted_by"], event["attempt"]) == ("server_error", "none", 1)


def test_a_client_that_hangs_up_in_its_upload_leaves_one_event_and_no_bill(gateway, sound, eventually):
    body = form(("model", "hears-seconds"), ("file", secrets.token_bytes(2_000_000)))
    client = connected(gateway, "/v1/audio/transcriptions", len(body))
    client.send(body[:1_000_000])
    eventually(lambda: gateway.status()["in_flight"])
    client.close()
    eventually(lambda: sound.broken)
    event = the_event(gateway)
    assert (event["status"], event["counted_by"], event["input_audio_ms"]) == ("cancelled", "none", 0)


def test_a_connection_that_is_refused_is_tried_elsewhere_with_all_of_the_file(gateway, sound, route):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        away = f"http://127.0.0.1:{gone.getsockname()[1]}/v1"
    made = route("hears-twice", away, upstream_model="seconds", task=HEARS)
    gateway.route(type(made)(**{**made.__dict__, "upstreams": (away, sound.url)}))
    file = secrets.token_bytes(1_000_000)
    status, _ = sent(gateway, form(("model", "hears-twice"), ("file", file)))
    assert status == 200
    assert sound.forms[0]["digest"] == hashlib.sha256(file).hexdigest()
    assert the_event(gateway)["attempt"] == 2


def test_a_client_that_expects_100_continue_gets_it(gateway, sound):
    body = form(("model", "hears-seconds"), ("file", wav(0.5)))
    client = connected(gateway, "/v1/audio/transcriptions", len(body), expect="100-continue")
    assert client.sock.recv(100).startswith(b"HTTP/1.1 100")
    client.send(body)
    answer = client.getresponse()
    assert answer.status == 200
    answer.read()
    client.close()


def test_a_chunked_upload_without_a_length_is_passed_on(gateway, sound):
    body = form(("model", "hears-seconds"), ("file", b"y" * 700_000))
    client = connected(gateway, "/v1/audio/transcriptions", None)
    for at in range(0, len(body), 100_000):
        piece = body[at : at + 100_000]
        client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    client.send(b"0\r\n\r\n")
    assert client.getresponse().status == 200
    client.close()
    assert sound.forms[0]["size"] == 700_000


@pytest.mark.parametrize(
    ("model", "kind", "ms"),
    [("plain", "pcm", 1067), ("plain", "wav", 1067), ("length", "wav", 1067), ("plain", "mp3", 0)],
)  # fmt: skip
def test_the_sdk_has_a_text_spoken_and_its_characters_count(gateway, sound, model, kind, ms):
    client = gateway.client("acme")
    with client.audio.speech.with_streaming_response.create(
        model=f"speaks-{model}", voice="x", input="Grüß dich 👋", response_format=kind
    ) as answer:
        spoken = b"".join(answer.iter_bytes())
    assert spoken.endswith(PIECE * PIECES)
    assert answer.headers["content-type"].startswith("audio/")
    event = the_event(gateway)
    assert (event["characters"], event["counted_by"]) == (11, "gateway")
    assert event["output_audio_ms"] == ms
    assert 0 < event["ttft_us"] < event["duration_us"]


def test_sound_in_events_is_passed_on_with_its_usage(gateway, sound):
    body = {"model": "speaks-plain", "voice": "x", "input": "Hello", "stream_format": "sse"}
    status, _, said = gateway.raw("/v1/audio/speech", body, secret=gateway.secrets["acme"])
    assert status == 200
    assert said.count(b"speech.audio.delta") == PIECES
    assert said.rstrip().endswith(b"}")
    assert b"speech.audio.done" in said.rstrip().rpartition(b"\n\n")[2]
    event = the_event(gateway)
    assert (event["characters"], event["output_tokens"]) == (5, 45)


def test_a_sound_that_breaks_off_is_seen_to(gateway, sound):
    body = json.dumps(
        {"model": "speaks-dies-midway", "voice": "x", "input": "Hello", "response_format": "pcm"}
    )
    client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    client.request("POST", "/v1/audio/speech", body, {"authorization": f"Bearer {gateway.secrets['acme']}"})
    answer = client.getresponse()
    assert answer.status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    event = the_event(gateway)
    assert (event["status"], event["error_type"]) == ("server_error", "upstream_unreachable")
    assert (event["characters"], event["output_audio_ms"]) == (5, 533)


def test_a_sound_that_breaks_off_is_seen_to_over_http_1_0_which_knows_no_chunks(gateway, sound):
    body = json.dumps(
        {"model": "speaks-dies-midway", "voice": "x", "input": "Hello", "response_format": "pcm"}
    )
    head = f"POST /v1/audio/speech HTTP/1.0\r\nAuthorization: Bearer {gateway.secrets['acme']}\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        with pytest.raises(ConnectionResetError):
            while client.recv(65_536):
                pass
    assert the_event(gateway)["status"] == "server_error"


@pytest.mark.parametrize("model", ["empty", "page"])
def test_what_is_no_sound_is_an_error(gateway, sound, model):
    with pytest.raises(openai.InternalServerError, match="failed"):
        gateway.client("acme").audio.speech.create(model=f"speaks-{model}", voice="x", input="Hello")
    assert the_event(gateway)["characters"] == 0


def test_a_transcript_that_breaks_off_ends_with_an_error(gateway, sound):
    stream = gateway.client("acme").audio.transcriptions.create(
        file=("a.wav", wav(1.0)), model="hears-dies-midway", stream=True
    )
    with pytest.raises(openai.APIError, match="cannot be reached"):
        list(stream)
    event = the_event(gateway)
    assert (event["status"], event["input_audio_ms"]) == ("server_error", 1000)


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": 5}, {"input": "x", "response_format": 5}])
def test_a_speech_that_is_not_as_it_must_be_is_refused(gateway, sound, body):
    sent = {"model": "speaks-plain", "voice": "x", **body}
    status, _, said = gateway.raw("/v1/audio/speech", sent, secret=gateway.secrets["acme"])
    assert status == 400
    assert json.loads(said)["error"]["param"] in {"input", "response_format"}
    assert the_event(gateway)["status"] == "client_error"


def test_the_async_sdk_does_both(gateway, sound):
    async def both() -> tuple[str, bytes]:
        client = openai.AsyncOpenAI(
            api_key=gateway.secrets["acme"], base_url=f"{gateway.url}/v1", max_retries=0
        )
        async with client:
            async with client.audio.speech.with_streaming_response.create(
                model="speaks-plain", voice="x", input="Hello", response_format="wav"
            ) as answer:
                spoken = b"".join([piece async for piece in answer.iter_bytes()])
            heard = await client.audio.transcriptions.create(file=("a.wav", spoken), model="hears-uncounted")
            return heard.text, spoken

    text, spoken = asyncio.run(both())
    assert text == "la la"
    assert sound.forms[0]["digest"] == hashlib.sha256(spoken).hexdigest()
    spoke, heard = gateway.events()
    assert spoke["output_audio_ms"] == heard["input_audio_ms"] == 1067
