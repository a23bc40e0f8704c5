"""Speech, transcripts, embeddings and reranking by real models, each engine a process as in a pod."""

import base64
import io
import json
import re
import socket
import struct
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest

from slipway.catalog.deployment import Validation
from slipway.dataplane.validation import questions, validation
from slipway.records import revisions
from slipway.records.revisions import Applied

from .conftest import Running, Server, spec

SENTENCE = "The capital of France is Paris, and the capital of Germany is Berlin."
QUERY = "What is the capital of France?"
PASSAGES = ["Whales sing below the ice.", "Paris is the capital of France.", "Bees make honey."]


@pytest.fixture(scope="module")
def engines(running: Running) -> Iterator[dict[str, Server]]:
    """One of each, started side by side."""
    wanted = {
        "tts": spec("tts", server="espeak-ng", model="voice", task="text-to-speech"),
        "whisper": spec(
            "whisper",
            "--max-audio-s=60",
            "--beam-size=2",
            "--best-of=1",
            server="ctranslate2",
            model="whisper",
            task="speech-to-text",
        ),
        "embeddings": spec("embeddings", server="onnxruntime", model="bge", task="embedding"),
        "reranker": spec("reranker", server="onnxruntime", model="marco", task="rerank"),
    }
    with ExitStack() as stack, ThreadPoolExecutor() as side_by_side:
        servers = side_by_side.map(lambda each: stack.enter_context(running(each)), wanted.values())
        yield dict(zip(wanted, servers, strict=True))


@pytest.fixture(scope="module")
def sdk(engines: dict[str, Server]) -> dict[str, openai.OpenAI]:
    """The unmodified SDK, of each."""
    return {
        name: openai.OpenAI(base_url=f"{each.url}/v1", api_key="unused", max_retries=0)
        for name, each in engines.items()
    }


@pytest.fixture(scope="module")
def spoken(sdk: dict[str, openai.OpenAI]) -> bytes:
    """The sentence as a WAV file."""
    made = sdk["tts"].audio.speech.create(model="tts", voice="alloy", input=SENTENCE, response_format="wav")
    return made.content


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@pytest.mark.parametrize("name", ["tts", "whisper", "embeddings", "reranker"])
def test_each_passes_the_validation_of_its_task(engines: dict[str, Server], name: str) -> None:
    engine = engines[name]
    applied = Applied(name, name, engine.spec.spec_digest, {})
    record = revisions.of(engine.spec, applied, f"{engine.url}/v1", datetime.now(UTC))
    results = validation.validate(record, Validation(ttft_bound_ms=60_000))
    assert [each.name for each in results] == list(validation.checks_of(engine.spec.task))
    assert [each.message for each in results if not each.passed] == []


class TestSpeech:
    def test_a_sentence_is_transcribed_almost_word_for_word(
        self, sdk: dict[str, openai.OpenAI], spoken: bytes
    ) -> None:
        heard = sdk["whisper"].audio.transcriptions.create(model="whisper", file=("s.wav", spoken))
        wanted = words(SENTENCE)
        assert sum(word in words(heard.text) for word in wanted) >= 0.8 * len(wanted), heard.text
        # OpenAI's wav has no length in its header: what it holds is counted in samples of 24 kHz.
        seconds = (len(spoken) - 44) / 2 / 24_000
        assert heard.usage is not None and heard.usage.type == "duration"
        assert heard.usage.seconds == pytest.approx(seconds, abs=1)

    @pytest.mark.parametrize(
        ("form", "begins"),
        [("mp3", b"\xff"), ("opus", b"OggS"), ("flac", b"fLaC"), ("aac", b"\xff"), ("wav", b"RIFF")],
    )
    def test_each_format_is_what_it_says(
        self, sdk: dict[str, openai.OpenAI], form: Any, begins: bytes
    ) -> None:
        import av

        made = sdk["tts"].audio.speech.create(model="tts", voice="nova", input=SENTENCE, response_format=form)
        assert made.content.startswith(begins)
        with av.open(io.BytesIO(made.content)) as container:
            samples = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        assert samples == pytest.approx(5, abs=1.5)

    def test_pcm_is_24_khz_and_faster_speech_is_shorter(self, sdk: dict[str, openai.OpenAI]) -> None:
        def seconds(speed: float) -> float:
            made = sdk["tts"].audio.speech.create(
                model="tts", voice="en-us", input=SENTENCE, response_format="pcm", speed=speed
            )
            return len(made.content) / 2 / 24_000

        assert seconds(2) == pytest.approx(seconds(1) / 2, rel=0.35)

    def test_it_streams(self, engines: dict[str, Server]) -> None:
        asked = {"model": "tts", "input": f"{SENTENCE} " * 40, "response_format": "pcm"}
        began = time.monotonic()
        with httpx.stream("POST", f"{engines['tts'].url}/v1/audio/speech", json=asked) as reply:
            assert "content-length" not in reply.headers
            parts = iter(reply.iter_raw())
            next(parts)
            first = time.monotonic() - began
            assert sum(len(part) for part in parts) > 100 * 48_000
        assert first < (time.monotonic() - began) / 2

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"input": ""}, "input"),
            ({"input": " ... "}, "input"),
            ({"input": None}, "input"),
            ({"input": "a" * 4097}, "input"),
            ({"voice": "nobody"}, "voice"),
            ({"voice": "en-us+nobody"}, "voice"),
            ({"voice": {"id": "x"}}, "voice"),
            ({"speed": 9}, "speed"),
            ({"speed": "fast"}, "speed"),
            ({"response_format": "midi"}, "response_format"),
            ({"stream_format": "sse"}, "stream_format"),
            ({"model": "other"}, "model"),
        ],
    )
    def test_what_it_cannot_speak_is_refused_with_the_field(
        self, engines: dict[str, Server], fields: dict[str, Any], param: str
    ) -> None:
        status, body = engines["tts"].ask("/v1/audio/speech", {"model": "tts", "input": "Hello.", **fields})
        assert (status, json.loads(body)["error"]["param"]) == (404 if param == "model" else 400, param)

    def test_a_client_that_hangs_up_leaves_the_voice_to_the_next(self, engines: dict[str, Server]) -> None:
        url = engines["tts"].url
        asked = {"model": "tts", "input": f"{SENTENCE} " * 50, "response_format": "wav"}
        with httpx.stream("POST", f"{url}/v1/audio/speech", json=asked) as reply:
            next(reply.iter_raw())
        status, body = engines["tts"].ask(
            "/v1/audio/speech", {"model": "tts", "input": "Hi.", "response_format": "wav"}
        )
        assert status == 200 and len(body) > 10_000
        assert engines["tts"].ask("/-/load")[1] == b'{"ongoing":0,"waiting":0}'


class TestTranscripts:
    def test_it_is_streamed_in_openais_events(self, sdk: dict[str, openai.OpenAI], spoken: bytes) -> None:
        events = list(
            sdk["whisper"].audio.transcriptions.create(model="whisper", file=("s.wav", spoken), stream=True)
        )
        assert {each.type for each in events[:-1]} == {"transcript.text.delta"}
        last = events[-1]
        assert last.type == "transcript.text.done"
        assert (
            "".join(each.delta for each in events[:-1] if each.type == "transcript.text.delta").strip()
            == last.text
        )
        assert last.model_dump()["usage"]["seconds"] >= 4

    def test_every_form_tells_the_same(self, engines: dict[str, Server], spoken: bytes) -> None:
        def form(response_format: str, **fields: str) -> httpx.Response:
            return httpx.post(
                f"{engines['whisper'].url}/v1/audio/transcriptions",
                data={"model": "whisper", "response_format": response_format, "language": "en", **fields},
                files={"file": ("s.wav", spoken)},
                timeout=60,
            )

        plain = form("text")
        assert plain.headers["content-type"].startswith("text/plain") and "Paris" in plain.text
        assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n", form("srt").text)
        assert form("vtt").text.startswith("WEBVTT\n\n00:00:0")
        fields = {"timestamp_granularities[]": "word"}
        verbose = form("verbose_json", **fields).json()
        assert (verbose["language"], verbose["task"]) == ("english", "transcribe")
        assert [words(each["word"])[0] for each in verbose["words"]] == words(verbose["text"])
        assert "segments" not in verbose and verbose["text"] == plain.text.strip()
        assert verbose["duration"] == pytest.approx(verbose["usage"]["seconds"], abs=1)

    @pytest.mark.parametrize(
        ("fields", "content", "status", "code"),
        [
            ({}, b"this is no sound at all" * 100, 400, "invalid_audio"),
            ({}, b"RIFF\xff\xff\xff\xffWAVE", 400, "invalid_audio"),
            ({}, b"", 400, "invalid_value"),
            ({"model": "other"}, b"x", 404, "model_not_found"),
            ({"language": "klingon"}, b"x", 400, "invalid_value"),
            ({"temperature": "hot"}, b"x", 400, "invalid_value"),
            ({"response_format": "pdf"}, b"x", 400, "invalid_value"),
            ({"response_format": "srt", "stream": "true"}, b"x", 400, "invalid_value"),
            ({"stream": "true"}, b"no sound", 400, "invalid_audio"),
        ],
    )
    def test_a_bad_upload_is_refused_in_openais_shape(
        self, engines: dict[str, Server], fields: dict[str, str], content: bytes, status: int, code: str
    ) -> None:
        reply = httpx.post(
            f"{engines['whisper'].url}/v1/audio/transcriptions",
            data={"model": "whisper", **fields},
            files={"file": ("s.wav", content)},
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)

    def test_a_body_that_is_no_form_is_refused(self, engines: dict[str, Server]) -> None:
        url = f"{engines['whisper'].url}/v1/audio/transcriptions"
        assert httpx.post(url, json={"model": "whisper"}).json()["error"]["code"] == "invalid_multipart"
        for boundary, content in (
            ("", b"--x"),
            ("; boundary=x", b"not it"),
            ("; boundary=x", b"--x\r\nCont"),
        ):
            headers = {"content-type": f"multipart/form-data{boundary}"}
            reply = httpx.post(url, content=content, headers=headers)
            assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")

    def test_what_is_longer_than_it_hears_at_once_is_refused(self, engines: dict[str, Server]) -> None:
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes(bytes(2 * 8000 * 61))
        reply = httpx.post(
            f"{engines['whisper'].url}/v1/audio/transcriptions",
            data={"model": "whisper"},
            files={"file": ("s.wav", written.getvalue())},
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "audio_too_long")

    def test_a_model_of_english_alone_does_not_translate(
        self, engines: dict[str, Server], spoken: bytes
    ) -> None:
        reply = httpx.post(
            f"{engines['whisper'].url}/v1/audio/translations",
            data={"model": "whisper"},
            files={"file": ("s.wav", spoken)},
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_value")

    def test_it_answers_for_itself_while_it_works(self, engines: dict[str, Server], spoken: bytes) -> None:
        url = f"{engines['whisper'].url}/v1/audio/transcriptions"
        work = threading.Thread(
            target=lambda: httpx.post(url, data={"model": "whisper"}, files={"file": spoken}, timeout=60)
        )
        work.start()
        slowest, whole = 0.0, time.monotonic()
        while work.is_alive():
            began = time.monotonic()
            assert engines["whisper"].ask("/-/spec")[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        work.join()
        # Were the loop blocked, one answer would take as long as the transcript.
        assert slowest < (time.monotonic() - whole) / 2


class TestEmbeddings:
    def test_what_means_the_same_is_near(self, sdk: dict[str, openai.OpenAI]) -> None:
        texts = [PASSAGES[1], "France's capital city is Paris.", PASSAGES[2]]
        # The SDK asks for base64 and reads it.
        made = sdk["embeddings"].embeddings.create(model="embeddings", input=texts)
        vectors = np.array([each.embedding for each in made.data])
        assert vectors.shape == (3, 384) and np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert vectors[0] @ vectors[1] > 0.9 > 0.6 > vectors[0] @ vectors[2]
        assert made.usage.prompt_tokens == made.usage.total_tokens == 9 + 10 + 6

    def test_tokens_and_texts_give_the_same(self, engines: dict[str, Server]) -> None:
        def ask(given: Any, **fields: Any) -> Any:
            status, body = engines["embeddings"].ask(
                "/v1/embeddings", {"model": "embeddings", "input": given, **fields}
            )
            assert status == 200, body
            return json.loads(body)

        # [CLS] hello world [SEP] of BERT's vocabulary.
        tokens = [101, 7592, 2088, 102]
        text, same, several = ask("Hello world"), ask(tokens), ask([tokens, tokens[:3]])
        assert text["data"][0]["embedding"] == pytest.approx(same["data"][0]["embedding"], abs=1e-6)
        assert (text["usage"], len(several["data"]), several["usage"]["total_tokens"]) == (
            same["usage"],
            2,
            7,
        )
        packed = base64.b64decode(ask("Hello world", encoding_format="base64")["data"][0]["embedding"])
        assert struct.unpack("<384f", packed) == pytest.approx(text["data"][0]["embedding"], abs=1e-6)
        assert ask("word " * 2000, truncate_prompt_tokens=-1)["usage"]["prompt_tokens"] == 512

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"input": []}, "input"),
            ({"input": ""}, "input"),
            ({"input": ["a", ""]}, "input"),
            ({"input": ["a", 1]}, "input"),
            ({"input": [1, "a"]}, "input"),
            ({"input": [[1], []]}, "input"),
            ({"input": [10**9]}, "input"),
            ({"input": {"a": 1}}, "input"),
            ({"input": ["a"] * 2049}, "input"),
            ({"input": "word " * 600}, "input"),
            ({"dimensions": 100}, "dimensions"),
            ({"dimensions": -1}, "dimensions"),
            ({"encoding_format": "hex"}, "encoding_format"),
            ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ],
    )
    def test_an_input_that_it_does_not_take_is_refused_with_the_field(
        self, engines: dict[str, Server], fields: dict[str, Any], param: str
    ) -> None:
        status, body = engines["embeddings"].ask(
            "/v1/embeddings", {"model": "embeddings", "input": "a", **fields}
        )
        assert (status, json.loads(body)["error"]["param"]) == (400, param)


class TestReranking:
    @pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
    def test_the_right_passage_wins(self, engines: dict[str, Server], path: str) -> None:
        asked = {"model": "reranker", "query": QUERY, "documents": PASSAGES, "top_n": 2}
        status, body = engines["reranker"].ask(path, asked)
        answer = json.loads(body)
        assert status == 200 and len(answer["results"]) == 2
        best, second = answer["results"]
        assert best["index"] == 1 and best["relevance_score"] > 0.99 > 0.01 > second["relevance_score"]
        assert best.get("document") == (None if path == "/v2/rerank" else {"text": PASSAGES[1]})
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 30

    def test_scores_are_in_the_order_of_their_texts(self, engines: dict[str, Server]) -> None:
        asked = {"model": "reranker", "text_1": QUERY, "text_2": PASSAGES}
        scores = [
            each["score"] for each in json.loads(engines["reranker"].ask("/v1/score", asked)[1])["data"]
        ]
        assert scores[1] > 0.99 and scores[0] < 0.01 and scores[2] < 0.01

    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("/v1/rerank", {"query": None}),
            ("/v1/rerank", {"documents": []}),
            ("/v1/rerank", {"documents": "one"}),
            ("/v1/rerank", {"documents": [{"title": "no text"}]}),
            ("/v1/rerank", {"top_n": -1}),
            ("/v1/rerank", {"top_n": "all"}),
            ("/v1/score", {"text_1": ["a", "b"]}),
        ],
    )
    def test_a_bad_question_is_refused(
        self, engines: dict[str, Server], path: str, fields: dict[str, Any]
    ) -> None:
        asked = {
            "model": "reranker",
            "query": QUERY,
            "documents": PASSAGES,
            "text_1": QUERY,
            "text_2": PASSAGES,
        }
        status, body = engines["reranker"].ask(path, {**asked, **fields})
        assert (status, json.loads(body)["error"]["type"]) == (400, "invalid_request_error")


def test_a_client_that_leaves_a_long_transcript_frees_its_slot(
    engines: dict[str, Server], spoken: bytes
) -> None:
    url = httpx.URL(engines["whisper"].url)
    field = b"--b\r\ncontent-disposition: form-data; name="
    file = field + b'"file"; filename="s.wav"\r\n\r\n' + spoken
    body = field + b'"model"\r\n\r\nwhisper\r\n' + file + b"\r\n--b--\r\n"
    head = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        "content-type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head.encode() + body)
        deadline = time.monotonic() + 20
        while b'"ongoing":0' in engines["whisper"].ask("/-/load")[1]:
            assert time.monotonic() < deadline
    while b'"ongoing":0' not in engines["whisper"].ask("/-/load")[1]:
        assert time.monotonic() < deadline


def test_weights_of_another_engine_end_in_one_line(running: Running, home: Path) -> None:
    wrong = spec("wrong", server="ctranslate2", model="bge", task="speech-to-text")
    with pytest.raises(pytest.fail.Exception) as failed, running(wrong):
        pass
    assert "EngineRefusedError: The weights lack model.bin" in str(failed.value)
    assert "Traceback" not in (home / "wrong.log").read_text()


def test_the_questions_of_validation_are_those_of_these_engines() -> None:
    assert {"embedding", "rerank", "speech-to-text", "text-to-speech"} <= questions.PATHS.keys()
