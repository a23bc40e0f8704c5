"""What an operation's engines read of a request, and how many tokens of prompt that can be at most.

Belongs here: a row per operation: where its prompts are, how each field counts, what cannot be bounded.
Does not: what counts pictures and sounds (media.py), what a chat template adds (slipway.gateway.admission).

The bound comes from the operation, never from keys that happen to be there: every field counts, by its own
rule or by its size, unless it is known never to reach a prompt.

Why bytes: a tokenizer covers the text with tokens of at least one byte each (byte-level BPE by
construction, SentencePiece through its byte fallback), so a text never has more tokens than bytes of UTF-8.
The bound is reached: several tokenizers give every digit its own token. English has about four bytes per
token; the rest of a reservation comes back when the engine reports the real count. (Not covered:
tokenizers that normalize with NFKC, where some rare characters grow. No model served as text generation
here does.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from slipway.gateway.api import bodies, media
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import invalid

# Around a message: 5 for ChatML and Llama 3, including the role, whose bytes are counted besides.
_MESSAGE_TOKENS = 8
_PROMPT_TOKENS = 8  # start of sequence, SentencePiece's leading space
PART_TOKENS = 8  # what marks a picture or a sound in the text

# Once per chat: a start, a default system prompt and the opening of the answer (26 tokens for SmolLM2, about
# 60 for Llama 3.1 and 70 for gpt-oss). What a deployment's template adds beyond is learned.
TEMPLATE_TOKENS = 64
# Of more messages than these, a count does not tell what the template adds once and what to each of them.
_PLAIN_MESSAGES = 4

# Known to vLLM and llama.cpp, and in no prompt: names, sampling, what is returned. (Schemas and grammars,
# mostly in no prompt either, are not here: llama.cpp writes some of them into the system prompt.)
_NEVER_READ = frozenset(
    [
        "model",
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "request_id",
        "priority",
        "cache_salt",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "min_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "frequency_penalty",
        "presence_penalty",
        "repetition_penalty",
        "repeat_penalty",
        "repeat_last_n",
        "length_penalty",
        "seed",
        "stop",
        "stop_token_ids",
        "include_stop_str_in_output",
        "ignore_eos",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "n_probs",
        "prompt_logprobs",
        "echo",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "return_tokens_as_token_ids",
        "return_token_ids",
        "allowed_token_ids",
        "bad_words",
        "parallel_tool_calls",
        "timings_per_token",
        "cache_prompt",
        "id_slot",
        "background",
        "include",
        "truncation",
        "encoding_format",
        "embed_dtype",
        "endianness",
        "dimensions",
        "normalize",
        "use_activation",
        "truncate_prompt_tokens",
        "truncation_side",
        "add_special_tokens",
        "top_n",
        "return_documents",
        "max_tokens_per_doc",
    ]
)
# With these a few bytes become any number of tokens: a template with a loop, a picture that is blown up.
UNBOUNDED = ("chat_template", "mm_processor_kwargs", "media_io_kwargs")


def printed(value: Any) -> int:
    """Bytes of a value as JSON, indented by as much as templates do (up to 4 spaces)."""
    if not isinstance(value, dict | list):
        return len(orjson.dumps(value))
    # From 0 to 2 and from 2 to 4 spaces it grows alike, but for line ends and the space after a colon.
    return 2 * len(orjson.dumps(value, option=orjson.OPT_INDENT_2)) - len(orjson.dumps(value))


@dataclass(frozen=True, slots=True)
class Reads:
    """What an operation makes prompts of. `fields` hold them; every other one may go into each prompt."""

    fields: frozenset[str]
    prompts: Callable[[Body], list[Any]]
    tokens_of: Callable[[Any], int]
    is_plain_prompt: Callable[[Any], bool]
    template_tokens: int
    unbounded: tuple[str, ...] = ()
    # Fields by which a client bounds each answer in tokens; the first is written where it leaves that open.
    # None where the operation makes no tokens.
    output: tuple[str, ...] = ("max_tokens", "max_completion_tokens")
    around: Callable[[Any], int] = printed  # of every other field

    def bound(self, body: Body) -> int:
        """Upper bound of all prompts of a checked body, without what a template adds."""
        prompts = self.prompts(body)
        around = sum(
            self.around(value)
            for name, value in body.items()
            if name not in self.fields and name not in _NEVER_READ and value is not None
        )
        return sum(self.tokens_of(prompt) for prompt in prompts) + around * len(prompts)

    def refuse_unbounded(self, body: Body) -> None:
        """Raise ApiError 400 for fields that make anything of a few bytes; not for models without limits."""
        for name in self.unbounded:
            if body.get(name) or _is_in_template_kwargs(name, body):
                raise invalid(
                    f"`{name}` is not taken for this model: it has limits in tokens, and what `{name}` makes "
                    "of a request cannot be bounded. Leave it out.",
                    name,
                )

    def is_plain(self, body: Body) -> bool:
        """Whether a count above the bound can only be what the template adds, whoever wrote the request."""
        prompts = self.prompts(body)
        return (
            len(prompts) == 1
            and self.is_plain_prompt(prompts[0])
            and all(name in _NEVER_READ or name in self.fields for name in body)
        )

    def answers(self, body: Body) -> int:
        """Answers that the engine makes: per prompt `n`, or `best_of` where more are made than returned."""
        if not self.output:
            return 0
        return max(body.get("n") or 1, body.get("best_of") or 1) * len(self.prompts(body))

    def output_asked(self, body: Body) -> int | None:
        """Tokens per answer that the client asks for, by whatever name; None where it leaves that open."""
        given = [body[name] for name in self.output if body.get(name) is not None]
        return max(given, default=None) if self.output else 0


def _is_in_template_kwargs(name: str, body: Body) -> bool:
    kwargs = body.get("chat_template_kwargs")
    return isinstance(kwargs, dict) and bool(kwargs.get(name))


def chat(messages: list[Body]) -> int:
    """Of messages, with what a template writes around each."""
    return sum(_message(message) for message in messages)


_OF_PARTS = frozenset({"content", "output"})  # the second is a tool's, in the Responses API


def _message(message: Body) -> int:
    tokens = _MESSAGE_TOKENS
    for name, value in message.items():
        if name in _OF_PARTS and isinstance(value, list):
            tokens += sum(part(each) for each in value)
        elif value is not None:
            tokens += _text(value)
    return tokens


def part(value: Any) -> int:
    """A part of a message: a picture, a sound or a film by its rule, all else by its size."""
    if not isinstance(value, dict):
        return _text(value)
    rest = value
    tokens = 0
    for name, held in value.items():
        rule = media.RULES.get(name)
        if rule is not None and held is not None:
            tokens += PART_TOKENS + rule(held)
            rest = {key: other for key, other in rest.items() if key != name}
    return tokens + printed(rest)


def _completion(prompt: str | list[int]) -> int:
    return _PROMPT_TOKENS + (len(prompt.encode()) if isinstance(prompt, str) else len(prompt))


def _text(value: Any) -> int:
    return len(value.encode()) if isinstance(value, str) else printed(value)


def is_plain_chat(messages: list[Body]) -> bool:
    """Whether they are a few messages of text alone."""
    return len(messages) <= _PLAIN_MESSAGES and all(
        message.keys() <= {"role", "content"} and isinstance(message.get("content"), str)
        for message in messages
    )


CHAT = Reads(
    frozenset({"messages"}),
    lambda body: [body["messages"]],
    chat,
    is_plain_chat,
    TEMPLATE_TOKENS,
    unbounded=UNBOUNDED,
)
COMPLETION = Reads(
    frozenset({"prompt"}),
    lambda body: bodies.texts_of(body, "prompt"),
    _completion,
    lambda _: True,
    template_tokens=0,
)
# For what is billed nothing: it asks nothing of limits in tokens.
NOTHING = Reads(frozenset(), lambda _: [], lambda _: 0, lambda _: False, template_tokens=0, output=())
