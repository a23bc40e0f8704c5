"""What `make demo-tasks` does: five tasks on one Ray cluster, asked through the gateway by the `openai` SDK.

Belongs here: the requests, and what their client counts of each. Does not: steps that demos share (stage.py),
judging (tasks_claims.py), showing (tasks_summary.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.environment import Environment
from slipway.records.route_store import RouteStore
from slipway.stack.demo.stage import Stage, Told
from slipway.stack.demo.traffic import Client

# Deployment -> its path on the Ray cluster, as the catalog of this demo says it.
PATHS: Mapping[str, str] = {
    "llm": "/llm",
    "whisper": "/whisper",
    "tts": "/tts",
    "embeddings": "/embeddings",
    "reranker": "/reranker",
}
ORG = "acme"
DEPLOY_TIMEOUT_S = 420

SENTENCE = "The capital of France is Paris, and the capital of Germany is Berlin."
QUESTION = "What is the capital of France?"
PASSAGES = ("Whales sing below the ice.", "Paris is the capital of France.", "Bees make honey.")
RIGHT = 1
# What OpenAI's pcm and wav are made of.
_SPOKEN_BYTES_PER_S = 2 * 24_000


@dataclass(frozen=True)
class Used:
    """One request of a deployment as its client counted it, by the names of the bill; what it brought."""

    deployment: str
    at: datetime
    counted: Mapping[str, int]
    brought: str


@dataclass
class TasksRecord(Told):
    """Everything that was seen on the way."""

    upstreams: dict[str, str] = field(default_factory=dict)
    used: list[Used] = field(default_factory=list)
    transcript: str = ""
    nearest: int | None = None
    best: int | None = None
    best_score: float = 0.0


class TasksStory(Stage):
    """One run of this demo against a running stack."""

    def __init__(self, environment: Environment, say: Callable[[str], None]) -> None:
        self.record = TasksRecord()
        super().__init__(environment, self.record, say)

    def deploy(self) -> None:
        """All five, by the sensor."""
        self.deploy_all(PATHS, "The sensor deploys five tasks on one Ray cluster", DEPLOY_TIMEOUT_S)
        _, table = RouteStore(self.store).latest()
        self.record.upstreams = {route.deployment: str(route.upstreams[0]) for route in table.routes}

    def traffic(self) -> None:
        """A tenant speaks a sentence, has it transcribed, and looks for the answer to a question."""
        client = self.record.clients[ORG]
        with self.step("traffic", "Each task through the gateway with the openai SDK"):
            self._chat(client)
            speech = self._speak(client)
            self._transcribe(client, speech)
            self._embed(client)
            self._rerank(client)

    def _chat(self, client: Client) -> None:
        for stream in (False, True):
            seen = client.chat("llm", QUESTION, stream=stream, max_tokens=24)
            if seen.status != 200:
                raise RuntimeError(f"llm answered {seen.status}: {seen.error}")
            counted = {
                "input_uncached": seen.input - seen.cached,
                "input_cached": seen.cached,
                "output": seen.output,
            }
            self._used("llm", seen.at, counted, seen.text)

    def _speak(self, client: Client) -> bytes:
        speech = b""
        for form in ("mp3", "wav"):
            at = datetime.now(UTC)
            with client.sdk.audio.speech.with_streaming_response.create(
                model="tts", voice="alloy", input=SENTENCE, response_format=form
            ) as reply:
                speech = b"".join(reply.iter_bytes())
            self._used("tts", at, {"characters": len(SENTENCE)}, f"{len(speech)} bytes of {form}")
        return speech

    def _transcribe(self, client: Client, speech: bytes) -> None:
        at = datetime.now(UTC)
        whole = client.sdk.audio.transcriptions.create(model="whisper", file=("speech.wav", speech))
        usage: Any = whole.usage
        self._used("whisper", at, {"input_audio_ms": round(usage.seconds * 1000)}, whole.text)
        self.record.transcript = whole.text
        if usage.seconds != math.ceil((len(speech) - 44) / _SPOKEN_BYTES_PER_S):
            raise RuntimeError(f"whisper counted {usage.seconds} s of {len(speech)} bytes")
        at = datetime.now(UTC)
        events: Any = client.sdk.audio.transcriptions.create(
            model="whisper", file=("speech.wav", speech), stream=True
        )
        *_, last = events
        told = last.model_dump()
        self._used("whisper", at, {"input_audio_ms": round(told["usage"]["seconds"] * 1000)}, told["text"])

    def _embed(self, client: Client) -> None:
        at = datetime.now(UTC)
        made = client.sdk.embeddings.create(model="embeddings", input=[QUESTION, *PASSAGES])
        question, *passages = [each.embedding for each in made.data]
        near = [sum(a * b for a, b in zip(question, each, strict=True)) for each in passages]
        self.record.nearest = near.index(max(near))
        counted = {"input_uncached": made.usage.prompt_tokens}
        self._used("embeddings", at, counted, f"nearest: {PASSAGES[self.record.nearest]}")

    def _rerank(self, client: Client) -> None:
        at = datetime.now(UTC)
        asked = {"model": "reranker", "query": QUESTION, "documents": list(PASSAGES), "top_n": 1}
        # The SDK has no method for it, but it takes any path.
        answer: Any = client.sdk.post("/rerank", body=asked, cast_to=object)
        best = answer["results"][0]
        self.record.best, self.record.best_score = best["index"], best["relevance_score"]
        counted = {
            "input_uncached": answer["usage"]["prompt_tokens"],
            "documents": len(PASSAGES),
            "searches": 1,
        }
        self._used("reranker", at, counted, f"best: {PASSAGES[best['index']]}")

    def _used(self, deployment: str, at: datetime, counted: Mapping[str, int], brought: str) -> None:
        self.record.used.append(Used(deployment, at, counted, brought))
        told = ", ".join(f"{count} {name}" for name, count in counted.items() if count)
        self._say(f"   {deployment:11} {told:42} {' '.join(brought.split())[:70]}")


def total(used: Sequence[Used], deployment: str) -> dict[str, int]:
    """What the client counted of a deployment in all."""
    counted: dict[str, int] = {}
    for each in used:
        if each.deployment == deployment:
            for name, count in each.counted.items():
                counted[name] = counted.get(name, 0) + count
    return counted
