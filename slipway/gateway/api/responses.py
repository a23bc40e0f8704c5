"""OpenAI's Responses API without a memory: `/v1/responses` and its answers, whole and streamed.

Belongs here: its fields, what of it is refused, how large its prompt can be, its events and its usage.
Does not: what it shares with Messages (named_events.py), the table of operations (operations.py).

An engine that keeps answers keeps them in one replica, for whoever knows their names. So none is kept, and
what refers to a kept one is refused with the reason.
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.api import answer_json, bodies, prompts
from slipway.gateway.api.answers import Answers, Whole
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import ApiError, invalid
from slipway.gateway.api.named_events import NamedEventEditor
from slipway.gateway.api.usage_count import UsageCount

# Below it lie the answers that were kept, for other methods than POST.
KEPT = "/v1/responses/"
_WHY = "This gateway keeps no responses: each request brings all that its answer needs."
_ITS_LAST = {"response.completed", "response.incomplete", "response.failed"}
_ONE_ANSWER = ("n", "n_cmpl", "best_of")


def check(body: Body) -> None:
    """Fields of a request, and of what is kept between requests."""
    bodies.check_stream(body)
    bodies.check_counts(body, RESPONSES.output, least=0)
    for name in ("previous_response_id", "conversation"):
        if body.get(name) is not None:
            raise _kept(name, f"{_WHY} Leave `{name}` out and send the earlier turns in `input`.")
    if body.get("background"):
        raise _kept("background", f"{_WHY} One made in the background could not be fetched. Leave it out.")
    bodies.check_one_answer(body, _ONE_ANSWER)
    given = body.get("input")
    if isinstance(given, str):
        return
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise invalid("`input` must be a string or a non-empty array of objects.", "input")


def not_kept(path: str) -> ApiError:
    """For whoever asks for a response by its name."""
    message = f"{_WHY} So there is none at {path}."
    return ApiError(404, "invalid_request_error", "responses_not_kept", message)


def _kept(field: str, message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", "unsupported_value", message, param=field)


class ResponsesEditor(NamedEventEditor):
    """Events of `/v1/responses`: the model and the usage are in their `response`."""

    __slots__ = ()

    def _look(self, kind: object, chunk: dict[str, Any]) -> bool:
        response, is_edited = chunk.get("response"), False
        if isinstance(response, dict):
            is_edited = self._name(response)
            if isinstance(kind, str) and kind in _ITS_LAST:
                self._look_at_last(kind, response)
        elif chunk.get("delta") and isinstance(kind, str) and kind.endswith(".delta"):
            self.tokens = True
            self.usage.piece(0)
        if "timings" in chunk:  # llama.cpp's
            timings = chunk["timings"]
            if isinstance(timings, dict):
                self.usage.report_timings(timings, (0,))
            if not self._wants.timings:
                del chunk["timings"]
                is_edited = True
        return is_edited

    def _look_at_last(self, kind: object, response: dict[str, Any]) -> None:
        self.done = self.finished = True
        self.usage.ended(0)
        _count(self.usage, response)
        if kind == "response.failed":
            error = response.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            self.error = code if isinstance(code, str) and code else "upstream_error"


def edit_whole(body: bytes, model: str) -> Whole | None:
    """One in one piece. Raises AnswerError."""
    document = answer_json.document_of(body, answer="output")
    if document is None:
        return None
    usage = UsageCount()
    _count(usage, document)
    if not usage.is_said:
        usage.text_bytes = answer_json.size_of(document.get("output"), most=len(body))
    return Whole(answer_json.named(body, document, model), usage)


def _count(usage: UsageCount, response: dict[str, Any]) -> None:
    said = response.get("usage")
    if isinstance(said, dict):
        details = said.get("input_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        usage.report_counts(said.get("input_tokens"), cached, said.get("output_tokens"))


def _ask(body: Body) -> None:
    """Have an engine keep nothing, which it would by default."""
    body["store"] = False


def _input(given: str | list[Body]) -> int:
    return prompts.chat([{"content": given}] if isinstance(given, str) else given)


RESPONSES = prompts.Reads(
    frozenset({"input"}),
    lambda body: [body["input"]],
    _input,
    lambda given: isinstance(given, str),
    prompts.TEMPLATE_TOKENS,
    unbounded=prompts.UNBOUNDED,
    # The others are not of this API; an engine that knows them may go by them.
    output=("max_output_tokens", "max_tokens", "max_completion_tokens"),
)
ANSWERS = Answers(edit_whole, ResponsesEditor, _ask)
