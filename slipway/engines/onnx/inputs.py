"""Texts of a request as the engine takes them: how many, how long, cut where the client says so.

Belongs here: pure decisions over fields and tokens. Does not: tokenizing (model.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.engines.frontend import RefusedError, refused
from slipway.engines.onnx.model import Ids

# As OpenAI's.
MOST_INPUTS = 2048


def texts(value: object, field: str) -> list[str]:
    """A text or a list of them, none of them empty; raises RefusedError."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise refused(field, "is neither a text nor a list of texts. Send one of the two.")
    return require_number(given, field)


def require_number(given: list[Any], field: str) -> list[Any]:
    """A list that is neither empty nor too long; raises RefusedError."""
    if not given:
        raise refused(field, "is empty. Send at least one.")
    if len(given) > MOST_INPUTS:
        raise refused(field, f"has {len(given)} entries. Send at most {MOST_INPUTS} at once.")
    return given


def cut_at(asked: Mapping[str, Any], longest: int) -> int | None:
    """Tokens that each text may be cut to, by vLLM's `truncate_prompt_tokens`; None: it may not."""
    tokens = asked.get("truncate_prompt_tokens")
    if tokens is None:
        return None
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < -1 or tokens == 0:
        raise refused(
            "truncate_prompt_tokens", "is no number of tokens. Send one, or -1 for the model's own."
        )
    return longest if tokens == -1 else min(tokens, longest)


def fitting(inputs: Sequence[Ids], longest: int, cut: int | None, field: str) -> list[Ids]:
    """The inputs, none longer than the model reads: cut where that is wanted, else refused."""
    if cut is not None:
        return [replace(each, tokens=each.tokens[:cut], types=each.types[:cut]) for each in inputs]
    for index, each in enumerate(inputs):
        if len(each.tokens) > longest:
            raise RefusedError(
                400,
                f"{field}[{index}] has {len(each.tokens)} tokens, and the model reads {longest}. Send "
                "a shorter text, or truncate_prompt_tokens=-1 to have it cut.",
                "context_length_exceeded",
                field,
            )
    return list(inputs)


def counted(inputs: Sequence[Ids]) -> dict[str, int]:
    """`usage` by the tokenizer: all tokens that the model reads, those that it wants around a text too."""
    tokens = sum(len(each.tokens) for each in inputs)
    return {"prompt_tokens": tokens, "total_tokens": tokens}
