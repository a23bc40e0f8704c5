"""Speech made by one real model and heard by another, through a gateway that counts both."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.route_store import RouteStore
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways
from testbed.server_processes import process, wait_until_answered

from .conftest import Running, Server, spec

SENTENCE = "The capital of France is Paris."


@dataclass
class Gateway:
    client: openai.OpenAI
    home: Path

    def events(self) -> list[dict]:
        """The usage events so far, in order."""
        spooled = sorted((self.home / "gateway" / "spool").glob("*.ndjson"))
        lines = [json.loads(line) for file in spooled for line in file.read_bytes().splitlines()]
        return sorted(lines, key=lambda event: event["request_id"])


@pytest.fixture(scope="module")
def gateway(running: Running, weights: ObjectStore, tmp_path_factory) -> Iterator[Gateway]:
    """A gateway before two engines: one speaks, one hears."""
    home = tmp_path_factory.mktemp("gateway")
    (port,) = free_ports(1)
    specs = (
        spec("tts", server="espeak-ng", model="voice", task="text-to-speech"),
        spec(
            "whisper",
            "--beam-size=1",
            "--best-of=1",
            server="ctranslate2",
            model="whisper",
            task="speech-to-text",
        ),
    )
    with ExitStack() as stack:
        engines = [stack.enter_context(running(each)) for each in specs]
        RouteStore(weights).change(lambda _: routes.build(_route(engine) for engine in engines))
        database = TenantsDatabase(f"sqlite:///{home / 'tenants.db'}")
        database.migrate()
        database.sync_orgs({"acme"})
        database.add_user("acme", "ann")
        secret = database.create_key("acme", "ann", "test").secret
        environment = {
            **gateways.variables(home, weights.location, "token", port),
            "SLIPWAY_USAGE_SHIP_S": "3600",
        }
        log = home / "gateway.log"
        started = stack.enter_context(process(gateways.COMMAND, log, environment))
        wait_until_answered(f"http://127.0.0.1:{port}/-/ready", log, by=started)
        yield Gateway(
            openai.OpenAI(api_key=secret, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0), home
        )


def _route(engine: Server) -> routes.Route:
    return routes.Route(
        model=f"our-{engine.spec.name}",
        deployment=engine.spec.name,
        revision="d" * 64,
        upstreams=(f"{engine.url}/v1",),
        upstream_model=engine.spec.name,
        sharing="all",
        task=engine.spec.task,
    )


def test_speech_is_made_heard_and_counted_in_its_own_units(gateway):
    audio = gateway.client.audio
    with audio.speech.with_streaming_response.create(
        model="our-tts", voice="alloy", input=SENTENCE, response_format="wav"
    ) as answer:
        sound = b"".join(answer.iter_bytes())
    heard = audio.transcriptions.create(file=("a.wav", sound), model="our-whisper", language="en")
    assert "Paris" in heard.text
    subtitles = audio.transcriptions.create(
        file=("a.wav", sound), model="our-whisper", language="en", response_format="srt"
    )
    assert "-->" in subtitles
    streamed = list(
        audio.transcriptions.create(file=("a.wav", sound), model="our-whisper", language="en", stream=True)
    )
    assert streamed[-1].type == "transcript.text.done"
    with pytest.raises(openai.BadRequestError):
        audio.transcriptions.create(file=("a.wav", b"no sound at all" * 100), model="our-whisper")

    spoke, whole, as_text, stream, refused = gateway.events()
    assert (spoke["characters"], spoke["counted_by"]) == (len(SENTENCE), "gateway")
    assert spoke["output_audio_ms"] > 1_000
    assert [event["counted_by"] for event in (whole, as_text, stream)] == ["engine", "gateway", "engine"]
    for event in (whole, as_text, stream):
        assert event["status"] == "success"
        # Engines round their own figure up to a second, as OpenAI does.
        assert spoke["output_audio_ms"] <= event["input_audio_ms"] + 1 <= spoke["output_audio_ms"] + 1_001
    assert (refused["status"], refused.get("input_audio_ms", 0)) == ("client_error", 0)
