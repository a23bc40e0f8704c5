"""How many tokens a request may use at most, before any engine has seen it.

Belongs here: the bound of a prompt and the tokens an answer is allowed, for limits in tokens per minute.
Does not: counting (limits.py); what is billed (the engine's own count).

Why bytes: a tokenizer covers the text with tokens of at least one byte each (byte-level BPE by
construction, SentencePiece through its byte fallback), so a text never has more tokens than bytes of UTF-8.
The bound is reached: several tokenizers give every digit its own token. English has about four bytes per
token; the rest of the reservation comes back when the engine reports the real count. (Not covered:
tokenizers that normalize with NFKC, where some rare characters grow. No model served as text generation
here does.)

A chat template adds to that: some tokens around each message (5 for ChatML and Llama 3, including the role,
whose bytes are counted besides), and once per prompt a start, a default system prompt and the opening of
the answer (26 tokens for SmolLM2, about 60 for Llama 3.1 and 70 for gpt-oss). `TemplateAllowance` starts at
64 and learns: when an engine reports more than the bound, that deployment's allowance grows by the
difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from slipway.gateway.admission.limits import Bound
from slipway.gateway.api.bodies import Body, answers_in, prompts_of

_MESSAGE_TOKENS = 8
_PROMPT_TOKENS = 8  # start of sequence, SentencePiece's leading space
_TEMPLATE_TOKENS = 64
# An image or a sound costs by its size in pixels or seconds, not by its bytes in base64.
_PART_TOKENS = 4_096

# An answer without max_tokens: a quarter of the tightest limit, so that one request cannot hold all of it;
# not more than this, because engines refuse what exceeds their context; less when less is left.
_DEFAULT_OUTPUT_TOKENS = 1_024
_LEAST_DEFAULT_TOKENS = 64
_LEAST_OUTPUT_TOKENS = 16

# Other engines' names for what `max_tokens` and `n` say; they would go past the limit.
_OTHER_NAMES = ("n_predict", "num_predict", "max_new_tokens", "n_cmpl")


@dataclass(frozen=True, slots=True)
class Demand:
    """Tokens a request asks for: its prompt at most, and its answers between two bounds."""

    prompt: int
    least_output: int
    most_output: int


class TemplateAllowance:
    """Tokens that chat templates add beyond the messages, per deployment; only ever grows."""

    def __init__(self) -> None:
        self._learned: dict[str, int] = {}

    def of(self, deployment: str) -> int:
        """The allowance of one deployment."""
        return self._learned.get(deployment, _TEMPLATE_TOKENS)

    def learn(self, deployment: str, bound: int, reported: int) -> None:
        """Take notice of an engine's count for a prompt whose bound was `bound`."""
        if reported > bound:
            self._learned[deployment] = self.of(deployment) + reported - bound


def prompt_bound(body: Body, allowance: int) -> int:
    """Upper bound of a request's prompt tokens; `allowance` is for the chat template."""
    if "messages" in body:
        tools = [body[name] for name in ("tools", "functions", "documents") if body.get(name)]
        # Templates print tools as indented JSON; so do we.
        extra = len(orjson.dumps(tools, option=orjson.OPT_INDENT_2)) if tools else 0
        return allowance + extra + sum(_message_bound(message) for message in body["messages"])
    suffix = _text_bound(body.get("suffix"))
    return sum(_PROMPT_TOKENS + suffix + _text_bound(prompt) for prompt in prompts_of(body))


def demand_of(body: Body, bounds: tuple[Bound, ...], allowance: int) -> Demand | None:
    """What the request asks of its limits in tokens; None when it has none of those."""
    limits = [bound.limit for bound in bounds if bound.dimension == "tokens"]
    if not limits:
        return None
    prompt = prompt_bound(body, allowance)
    answers = answers_in(body)
    asked = _asked(body)
    if asked is not None:
        return Demand(prompt, asked * answers, asked * answers)
    default = min(_DEFAULT_OUTPUT_TOKENS, max(_LEAST_DEFAULT_TOKENS, min(limits) // 4))
    return Demand(prompt, _LEAST_OUTPUT_TOKENS * answers, default * answers)


def bind(body: Body, granted_tokens: int) -> None:
    """Write the granted output tokens into the request, so that its engine cannot go past them."""
    for name in _OTHER_NAMES:
        body.pop(name, None)
    if body.get("max_tokens") is None:
        asked = _asked(body)
        body["max_tokens"] = granted_tokens // answers_in(body) if asked is None else asked


def _asked(body: Body) -> int | None:
    given = [body[name] for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    return max(given, default=None)


def _message_bound(message: Body) -> int:
    bound = _MESSAGE_TOKENS
    for name, value in message.items():
        if name == "content" and isinstance(value, list):
            bound += sum(_part_bound(part) for part in value)
        else:
            bound += _text_bound(value)
    return bound


def _part_bound(part: object) -> int:
    if isinstance(part, dict) and part.get("type", "text") not in {"text", "refusal", "thinking"}:
        return _PART_TOKENS
    return _text_bound(part)


def _text_bound(value: object) -> int:
    """Bytes of UTF-8 for a text, one per token for token numbers, the JSON for anything else."""
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list) and value and isinstance(value[0], int):
        return len(value)
    return len(orjson.dumps(value))
