"""Validates a revision as a client would, at its upstream, before any tenant reaches it.

Belongs here: the checks, their stable names and their evidence.
Does not: what follows from them (rollout.record_validation), Dagster's asset checks (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import OpenAI

from slipway.catalog.deployment import Validation
from slipway.dataplane.revisions import Revision

CHECKS = ("model_listed", "completion", "stream", "usage_reported", "adapters_answer", "ttft_under_bound")

_MAX_TOKENS = 12
# A Service leads to new pods only when kube-proxy has learned of them, a second or so after they are ready;
# until then it refuses, or leads to an address that another pod may have by now.
_REACHABLE_S = 8.0
_KNOCK_S = 0.25


@dataclass(frozen=True)
class CheckResult:
    """One check: a name from CHECKS, whether it passed, what was seen, and a sentence for a person."""

    name: str
    passed: bool
    evidence: Mapping[str, Any]
    message: str


@dataclass(frozen=True)
class _Client:
    """An OpenAI client of the revision, and what to ask it."""

    api: OpenAI
    revision: Revision
    settings: Validation

    @property
    def base(self) -> str:
        return self.revision.served_names[0]

    def complete(self, model: str) -> Any:
        """A short greedy completion: the same question gives the same answer."""
        return self.api.completions.create(
            model=model, prompt=self.settings.prompt, max_tokens=_MAX_TOKENS, temperature=0, seed=1
        )


@dataclass(frozen=True)
class _Streamed:
    """What a stream brought: text, chunks with text, time to the first of them, usage."""

    text: str
    chunks: int
    ttft_ms: float | None
    usage: Any


def validate(revision: Revision, settings: Validation) -> list[CheckResult]:
    """Run every check of CHECKS against `revision.upstream`; none raises, each that cannot run has failed.

    A request takes at most `settings.timeout_s`.
    """
    import openai

    with openai.OpenAI(
        base_url=revision.upstream, api_key="unused", timeout=settings.timeout_s, max_retries=0
    ) as api:
        client = _Client(api, revision, settings)
        _wait_until_reachable(client)
        completion = _attempt("completion", lambda: client.complete(client.base))
        stream = _attempt("stream", lambda: _stream(client))
        return [
            _checked("model_listed", lambda: _model_listed(client)),
            _checked("completion", lambda: _completed(_got(completion))),
            _checked("stream", lambda: _streamed(_got(stream))),
            _checked("usage_reported", lambda: _usage_reported(_got(completion), _got(stream))),
            _checked("adapters_answer", lambda: _adapters_answer(client)),
            _checked("ttft_under_bound", lambda: _ttft(_got(stream), settings.ttft_bound_ms)),
        ]


def _wait_until_reachable(client: _Client) -> None:
    """Knock until the model is listed, or is not for 8 s: then the checks say what is wrong."""
    import openai

    end = time.monotonic() + _REACHABLE_S
    while time.monotonic() < end:
        try:
            if client.base in [model.id for model in client.api.models.list()]:
                return
        except openai.APITimeoutError:
            return
        except openai.OpenAIError:
            pass  # as much as refused: the next knock may reach it
        time.sleep(_KNOCK_S)


_Finding = tuple[bool, dict[str, Any], str]


def _attempt(name: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001  whatever a client would see is the finding
        return error


def _got(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _checked(name: str, check: Callable[[], _Finding]) -> CheckResult:
    try:
        passed, evidence, message = check()
    except Exception as error:  # noqa: BLE001  as above
        return CheckResult(name, False, {"error": type(error).__name__}, f"{type(error).__name__}: {error}")
    return CheckResult(name, passed, evidence, message)


def _model_listed(client: _Client) -> _Finding:
    listed = [model.id for model in client.api.models.list()]
    missing = [name for name in client.revision.served_names if name not in listed]
    evidence = {"listed": listed}
    if missing:
        return False, evidence, f"{', '.join(missing)} is not listed; {', '.join(listed)} is."
    return True, evidence, f"{', '.join(client.revision.served_names)} listed."


def _completed(answer: Any) -> _Finding:
    choice = answer.choices[0]
    evidence = {"text": choice.text, "finish_reason": choice.finish_reason, "model": answer.model}
    if not choice.text.strip():
        return False, evidence, "The completion is empty."
    return True, evidence, f"Answered {choice.text.strip()!r}."


def _stream(client: _Client) -> _Streamed:
    began = time.perf_counter()
    first: float | None = None
    pieces: list[str] = []
    usage = None
    with client.api.chat.completions.create(
        model=client.base,
        messages=[{"role": "user", "content": client.settings.prompt}],
        max_tokens=_MAX_TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text:
                first = first if first is not None else (time.perf_counter() - began) * 1000
                pieces.append(text)
    return _Streamed("".join(pieces), len(pieces), first, usage)


def _streamed(stream: _Streamed) -> _Finding:
    evidence = {"text": stream.text, "chunks": stream.chunks}
    if stream.chunks < 2:
        return False, evidence, f"{stream.chunks} chunks with text: the answer is not streamed."
    return True, evidence, f"{stream.chunks} chunks."


def _usage_reported(completion: Any, stream: _Streamed) -> _Finding:
    evidence = {"completion": _usage(completion.usage), "stream": _usage(stream.usage)}
    for kind, usage in evidence.items():
        if usage is None:
            return False, evidence, f"The {kind} reports no usage: nothing could be billed."
        if not (usage["input"] > 0 and 0 < usage["output"] <= _MAX_TOKENS):
            return False, evidence, f"The {kind} reports {usage['input']} input and {usage['output']} output."
    return True, evidence, "Tokens are reported, streamed and not."


def _usage(usage: Any) -> dict[str, int] | None:
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details is not None else 0
    return {"input": usage.prompt_tokens, "cached": cached, "output": usage.completion_tokens}


def _adapters_answer(client: _Client) -> _Finding:
    """Each adapter answers under its name, and the base's greedy answer is the same before and after."""
    adapters = client.revision.served_names[1:]
    if not adapters:
        return True, {}, "No adapters."
    before = client.complete(client.base).choices[0].text
    answers = {name: client.complete(name).choices[0].text for name in adapters}
    after = client.complete(client.base).choices[0].text
    evidence = {"base_before": before, "base_after": after, "answers": answers}
    silent = [name for name, text in answers.items() if not text.strip()]
    if silent:
        return False, evidence, f"{', '.join(silent)} answers nothing."
    if before != after:
        return False, evidence, f"{client.base} answers differently after an adapter was used."
    return True, evidence, f"{', '.join(adapters)} answered; {client.base} answers as before."


def _ttft(stream: _Streamed, bound_ms: int) -> _Finding:
    evidence = {"ttft_ms": None if stream.ttft_ms is None else round(stream.ttft_ms, 1), "bound_ms": bound_ms}
    if stream.ttft_ms is None:
        return False, evidence, "No token came."
    if stream.ttft_ms > bound_ms:
        return False, evidence, f"The first token took {stream.ttft_ms:.0f} ms; the bound is {bound_ms} ms."
    return True, evidence, f"First token after {stream.ttft_ms:.0f} ms."
