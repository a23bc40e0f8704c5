"""Anthropic's Messages API: `/v1/messages`, counting its tokens, and its answers, whole and streamed.

Belongs here: its fields, how large its prompt can be, its events and its usage.
Does not: its errors (apis.py), what it shares with Responses (named_events.py), the table (operations.py).
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.api import answer_json, bodies, media, prompts
from slipway.gateway.api.answers import Answers, Whole
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import invalid
from slipway.gateway.api.named_events import NamedEventEditor
from slipway.gateway.api.usage_count import UsageCount

_ONE_ANSWER = ("n", "n_cmpl", "best_of")


def check(body: Body) -> None:
    """Fields of a request for a message."""
    bodies.check_stream(body)
    bodies.check_counts(body, MESSAGES.output, least=0)
    bodies.check_one_answer(body, _ONE_ANSWER)
    bodies.check_messages(body)
    if not isinstance(body.get("system"), str | list | None):
        raise invalid("`system` must be a string or an array of blocks.", "system")


class MessagesEditor(NamedEventEditor):
    """Events of `/v1/messages`: the model is in `message_start`, usage in it and in `message_delta`."""

    __slots__ = ()

    def _look(self, kind: object, chunk: dict[str, Any]) -> bool:
        if kind == "content_block_delta":
            delta = chunk.get("delta")
            if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "type"):
                self.tokens = True
                self.usage.piece(0)
        elif kind == "message_start":
            message = chunk.get("message")
            if isinstance(message, dict):
                _count(self.usage, message)
                return self._name(message)
        elif kind == "message_delta":
            delta = chunk.get("delta")
            if isinstance(delta, dict) and delta.get("stop_reason") is not None:
                self.finished = True
            _count(self.usage, chunk)
        elif kind == "message_stop":
            self.done = True
        return False


def edit_whole(body: bytes, model: str) -> Whole | None:
    """One in one piece. Raises AnswerError."""
    document = answer_json.document_of(body, answer="content")
    if document is None:
        return None
    usage = UsageCount()
    _count(usage, document)
    if not usage.is_said:
        usage.text_bytes = answer_json.size_of(document.get("content"), most=len(body))
    return Whole(answer_json.named(body, document, model), usage)


def _count(usage: UsageCount, holder: dict[str, Any]) -> None:
    """Anthropic's `input_tokens` are those that came from no cache, and went into none."""
    said = holder.get("usage")
    if not isinstance(said, dict):
        return
    parts = [said.get(name) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")]
    read, made = (part if type(part) is int else 0 for part in parts)
    rest = said.get("input_tokens")
    prompt = rest + max(0, read) + max(0, made) if type(rest) is int and rest >= 0 else None
    usage.report_counts(prompt, parts[0], said.get("output_tokens"))


def _chat(messages: list[Body]) -> int:
    return sum(_message(message) for message in messages)


def _message(message: Body) -> int:
    content = message.get("content")
    if not isinstance(content, list):
        return prompts.chat([message])
    rest = {name: value for name, value in message.items() if name != "content"}
    return prompts.chat([rest]) + sum(_block(block) for block in content)


def _block(block: Any) -> int:
    """A block of a message: a picture by its rule, a tool's result by its blocks, all else by its size."""
    if not isinstance(block, dict):
        return prompts.part(block)
    content, source = block.get("content"), block.get("source")
    tokens = 0
    if isinstance(content, list):
        block = {name: value for name, value in block.items() if name != "content"}
        tokens += sum(_block(inner) for inner in content)
    if isinstance(source, dict) and isinstance(source.get("data"), str) and source.get("type") == "base64":
        block = {**block, "source": {name: value for name, value in source.items() if name != "data"}}
        tokens += prompts.PART_TOKENS + media.picture(f"data:,{source['data']}")
    elif source is not None:
        tokens += prompts.PART_TOKENS + media.picture("")
    return tokens + prompts.part(block)


MESSAGES = prompts.Reads(
    frozenset({"messages"}),
    lambda body: [body["messages"]],
    _chat,
    prompts.is_plain_chat,
    prompts.TEMPLATE_TOKENS,
    unbounded=prompts.UNBOUNDED,
    # The others are not of this API; an engine that knows them may go by them.
    output=("max_tokens", "max_completion_tokens", "max_output_tokens"),
)
ANSWERS = Answers(edit_whole, MessagesEditor)
