"""Validates a revision as a client would, at its upstream, before any tenant reaches it.

Belongs here: the checks, their stable names and their evidence.
Does not: what is asked (generation.py, questions.py), what follows from it (rollout.record_validation),
Dagster's asset checks (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import OpenAI

from slipway.catalog.deployment import Validation
from slipway.dataplane.validation import generation, questions
from slipway.dataplane.validation.questions import Finding
from slipway.records.revisions import Revision
from slipway.runtimes import registry
from slipway.runtimes.adapter import Adapter

CHECKS = ("model_listed", "completion", "stream", "usage_reported", "adapters_answer", "ttft_under_bound")
# Of tasks whose answer comes in one piece: every name is asked the task's question.
ANSWER_CHECKS = ("model_listed", "answer", "answer_under_bound")
COUNTED_CHECKS = ("model_listed", "answer", "usage_reported", "answer_under_bound")

# A Service leads to new pods only when kube-proxy has learned of them, a second or so after they are ready;
# until then it refuses, or leads to an address that another pod may have by now. After an absence of the API
# server kube-proxy asks again only after 30 to 60 s (client-go's reflector), perhaps before that server is
# ready; so what cannot be reached at all has time for two of these.
_REACHABLE_S, _CONNECTED_S = 8.0, 120.0
_KNOCK_S = 0.25


@dataclass(frozen=True)
class CheckResult:
    """One check: a name from `checks_of`, whether it passed, what was seen, and a sentence for a person."""

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
        return self.own_name(self.revision.served_names[0])

    @property
    def runtime(self) -> Adapter:
        return registry.adapter(self.revision.spec["deployment"]["runtime"])

    def own_name(self, name: str) -> str:
        """What the engine calls what tenants call so; some have names of their own."""
        return self.revision.engine_names.get(name, name)

    def listed(self) -> list[str]:
        """Names in the engine's list of models."""
        query = self.runtime.listing.get(self.revision.task)
        return [model.id for model in self.api.models.list(extra_query=query)]

    def complete(self, model: str) -> Any:
        """A short greedy completion under an engine's name."""
        return generation.complete(self.api, model, self.settings.prompt)


def checks_of(task: str) -> tuple[str, ...]:
    """Names of a task's checks, in the order of their results."""
    if task == "text-generation":
        return CHECKS
    return COUNTED_CHECKS if task in questions.COUNTED else ANSWER_CHECKS


def validate(revision: Revision, settings: Validation) -> list[CheckResult]:
    """Run every check of the revision's task against `revision.upstream`.

    None raises: each that cannot run has failed. A request takes at most `settings.timeout_s`.
    """
    import openai

    with openai.OpenAI(
        base_url=revision.upstream, api_key="unused", timeout=settings.timeout_s, max_retries=0
    ) as api:
        client = _Client(api, revision, settings)
        _wait_until_reachable(client)
        return _generation(client) if revision.task == "text-generation" else _answering(client)


def _generation(client: _Client) -> list[CheckResult]:
    completion = _attempt(lambda: client.complete(client.base))
    prompt, bound_ms = client.settings.prompt, client.settings.ttft_bound_ms
    stream = _attempt(lambda: generation.stream(client.api, client.base, prompt))
    return [
        _checked("model_listed", lambda: _model_listed(client)),
        _checked("completion", lambda: generation.completed(_got(completion))),
        _checked("stream", lambda: generation.streamed(_got(stream))),
        _checked("usage_reported", lambda: generation.usage_reported(_got(completion), _got(stream))),
        _checked("adapters_answer", lambda: _adapters_answer(client)),
        _checked("ttft_under_bound", lambda: generation.first_token(_got(stream), bound_ms)),
    ]


def _answering(client: _Client) -> list[CheckResult]:
    """The task's question to the deployment and each adapter; what is measured is the deployment's."""
    task, names = client.revision.task, client.revision.served_names
    asked = {name: _attempt(partial(_ask, client, name)) for name in names}
    first = asked[names[0]]
    checks: dict[str, Callable[[], Finding]] = {
        "model_listed": lambda: _model_listed(client),
        "answer": lambda: _answered(task, asked),
        "usage_reported": lambda: questions.usage(_got(first).body),
        "answer_under_bound": lambda: _in_time(_got(first), client.settings.ttft_bound_ms),
    }
    return [_checked(name, checks[name]) for name in checks_of(task)]


def _ask(client: _Client, name: str) -> questions.Answer:
    task = client.revision.task
    more = client.runtime.question.get(task)
    return questions.ask(client.api, task, client.own_name(name), client.settings.prompt, more)


def _wait_until_reachable(client: _Client) -> None:
    """Knock until the model is listed; an answer without it may come for 8 s, none for two minutes.

    After that the checks say what is wrong.
    """
    import openai

    began = time.monotonic()
    patience_s = _REACHABLE_S
    while time.monotonic() - began < patience_s:
        try:
            if client.base in client.listed():
                return
            patience_s = _REACHABLE_S
        except openai.APITimeoutError:
            return
        except openai.APIConnectionError:
            patience_s = _CONNECTED_S
        except openai.OpenAIError:
            patience_s = _REACHABLE_S
        time.sleep(_KNOCK_S)


def _attempt(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001  whatever a client would see is the finding
        return error


def _got(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _checked(name: str, check: Callable[[], Finding]) -> CheckResult:
    try:
        passed, evidence, message = check()
    except Exception as error:  # noqa: BLE001  as above
        evidence = {"error": type(error).__name__, **_answered_by(error)}
        return CheckResult(name, False, evidence, f"{type(error).__name__}: {error}")
    return CheckResult(name, passed, evidence, message)


def _answered_by(error: Exception) -> dict[str, Any]:
    """Who refused: it need not be the engine, but may be a proxy before it or whoever has its address now."""
    import openai

    if not isinstance(error, openai.APIStatusError):
        return {}
    kept = ("server", "content-type", "content-length", "date")
    headers = {name: error.response.headers[name] for name in kept if name in error.response.headers}
    return {"status": error.status_code, "headers": headers, "url": str(error.request.url)}


def _model_listed(client: _Client) -> Finding:
    listed = client.listed()
    wanted = {name: client.own_name(name) for name in client.revision.served_names}
    missing = [own for own in wanted.values() if own not in listed and not _is_known(client, own)]
    evidence = {"listed": listed, **({"engine_names": wanted} if client.revision.engine_names else {})}
    if missing:
        return False, evidence, f"{', '.join(missing)} is not listed; {', '.join(listed)} is."
    return True, evidence, f"{', '.join(wanted.values())} listed."


def _is_known(client: _Client, own_name: str) -> bool:
    """Asked for by name: Ray Serve LLM lists no adapter that lies deeper than one folder."""
    import openai

    if own_name == client.base:
        return False
    try:
        return bool(client.api.models.retrieve(own_name).id == own_name)
    except openai.OpenAIError:
        return False


def _adapters_answer(client: _Client) -> Finding:
    """Each adapter answers under its name, and the base's greedy answer is the same before and after."""
    adapters = client.revision.served_names[1:]
    if not adapters:
        return True, {}, "No adapters."
    base = client.revision.served_names[0]
    before = client.complete(client.base).choices[0].text
    answers = {name: client.complete(client.own_name(name)).choices[0].text for name in adapters}
    after = client.complete(client.base).choices[0].text
    evidence = {"base_before": before, "base_after": after, "answers": answers}
    silent = [name for name, text in answers.items() if not text.strip()]
    if silent:
        return False, evidence, f"{', '.join(silent)} answers nothing."
    if before != after:
        return False, evidence, f"{base} answers differently after an adapter was used."
    return True, evidence, f"{', '.join(adapters)} answered; {base} answers as before."


def _answered(task: str, asked: Mapping[str, Any]) -> Finding:
    findings = {name: questions.judge(task, _got(answer)) for name, answer in asked.items()}
    evidence = {name: seen for name, (_, seen, _) in findings.items()}
    bad = [f"{name}: {message}" for name, (passed, _, message) in findings.items() if not passed]
    return (
        not bad,
        evidence,
        " ".join(bad or (f"{name}: {message}" for name, (_, _, message) in findings.items())),
    )


def _in_time(answer: questions.Answer, bound_ms: int) -> Finding:
    evidence = {"took_ms": round(answer.took_ms, 1), "bound_ms": bound_ms}
    passed = answer.took_ms <= bound_ms
    return passed, evidence, f"The answer took {answer.took_ms:.0f} ms; the bound is {bound_ms} ms."
