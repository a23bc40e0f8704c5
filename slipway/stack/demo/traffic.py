"""Tenants' traffic through the gateway with the unmodified `openai` SDK, and what each client saw.

Belongs here: requests and their outcome as the client knows it. Does not: what was billed (the warehouse).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

QUESTIONS = (
    "What is the capital of France?",
    "Name three colours.",
    "What do bees make?",
    "Say hello in a friendly way.",
)


@dataclass(frozen=True)
class Seen:
    """One request as its client saw it, with the tokens of its `usage`; `input` includes `cached`."""

    org: str
    model: str
    at: datetime
    status: int
    input: int = 0
    cached: int = 0
    output: int = 0
    text: str = ""
    error: str = ""


@dataclass
class Client:
    """One tenant with its key."""

    org: str
    base_url: str
    secret: str = field(repr=False)
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        from openai import OpenAI

        # No retries: the SDK would hide the very answers that the demo is about.
        self.sdk = OpenAI(base_url=f"{self.base_url}/v1", api_key=self.secret, max_retries=0, timeout=120)

    def models(self) -> list[str]:
        """Names that this tenant may use."""
        return sorted(model.id for model in self.sdk.models.list())

    def chat(self, model: str, question: str, *, stream: bool, max_tokens: int = 16) -> Seen:
        """One chat completion."""

        def call() -> tuple[str, Any]:
            messages: Any = [{"role": "user", "content": question}]
            if not stream:
                reply = self.sdk.chat.completions.create(
                    model=model, messages=messages, max_tokens=max_tokens, temperature=0
                )
                return reply.choices[0].message.content or "", reply.usage
            chunks = self.sdk.chat.completions.create(
                model=model,
                messages=messages,
                max_tokens=max_tokens,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
            text, usage = "", None
            for chunk in chunks:
                usage = chunk.usage or usage
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            return text, usage

        return self._record(model, call)

    def complete(self, model: str, prompt: str, *, max_tokens: int = 8) -> Seen:
        """One text completion, not streamed."""

        def call() -> tuple[str, Any]:
            reply = self.sdk.completions.create(
                model=model, prompt=prompt, max_tokens=max_tokens, temperature=0
            )
            return reply.choices[0].text, reply.usage

        return self._record(model, call)

    def _record(self, model: str, call: Callable[[], tuple[str, Any]]) -> Seen:
        from openai import APIConnectionError, APIError, APIStatusError

        at = datetime.now(UTC)
        try:
            text, usage = call()
            details = usage.prompt_tokens_details
            cached = (details.cached_tokens or 0) if details else 0
            seen = Seen(self.org, model, at, 200, usage.prompt_tokens, cached, usage.completion_tokens, text)
        except APIStatusError as error:
            seen = Seen(self.org, model, at, error.status_code, error=str(error.message))
        except APIConnectionError as error:
            seen = Seen(self.org, model, at, 0, error=f"connection: {error}")
        except APIError as error:
            seen = Seen(self.org, model, at, 500, error=f"in the stream: {error}")
        self.seen.append(seen)
        return seen


@contextmanager
def steady_flow(client: Client, models: tuple[str, ...]) -> Iterator[list[Seen]]:
    """Requests one after another in the background while the body runs; yields the list as it grows."""
    stop = threading.Event()
    flow: list[Seen] = []

    def work() -> None:
        n = 0
        while not stop.is_set():
            question = QUESTIONS[n % len(QUESTIONS)]
            flow.append(client.chat(models[n % len(models)], question, stream=n % 2 == 0, max_tokens=8))
            n += 1
            stop.wait(0.2)

    worker = threading.Thread(target=work, name="steady-flow", daemon=True)
    worker.start()
    try:
        yield flow
    finally:
        stop.set()
        worker.join()


def until(condition: Callable[[], Any], what: str, timeout_s: float, poll_s: float = 0.5) -> Any:
    """Return the first true value of the condition; TimeoutError saying what was waited for."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(poll_s)
