"""Embeddings, reranking, scores and classes: what reads text and writes none.

Belongs here: their fields, how large their prompts can be, how many documents and searches they are, their
answers. Does not: the table of operations (operations.py).

Their tokenizers normalize: some characters become several. So a text counts as it is or as Unicode's
compatibility decomposition has it, whichever is longer; no normalization of the field makes more of it.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from slipway.gateway.api import answer_json, bodies, prompts
from slipway.gateway.api.answers import Answers, Whole
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import invalid
from slipway.gateway.api.usage_count import UsageCount
from slipway.records.usage import Units

# As many as OpenAI takes. The answer is an array of numbers for each, and is held until it is whole.
MAX_INPUTS = 2_048
# Around a text, or around a query and a document: a model that reranks by a prompt of its own has some 80.
_TEXT_TOKENS = 8
_PAIR_TOKENS = 96
# vLLM's names of the two sides of a score; it goes by the one pair that is there.
_SIDES = (("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items"))
_NAMES = frozenset(name for pair in _SIDES for name in pair)


def check_input(body: Body) -> None:
    """Fields of embedding and of classifying: texts, or a chat as vLLM takes it."""
    bodies.check_stream(body)
    if body.get("messages") is not None:
        if body.get("input") is not None:
            raise invalid("`input` and `messages` are both there. Send one of them.", "messages")
        bodies.check_messages(body)
    else:
        bodies.check_texts(body, "input")
        number = len(bodies.texts_of(body, "input"))
        if number > MAX_INPUTS:
            raise invalid(f"`input` has {number} entries. Up to {MAX_INPUTS} are taken at once.", "input")


def check_rerank(body: Body) -> None:
    """Fields of reranking."""
    if not isinstance(body.get("query"), str | dict) or not body["query"]:
        raise invalid("`query` must be a non-empty string.", "query")
    if not isinstance(body.get("documents"), str | dict):
        _check_documents("documents", body.get("documents"))


def check_score(body: Body) -> None:
    """Fields of scoring: two sides, one to many or as many to as many."""
    given = [pair for pair in _SIDES if all(body.get(name) is not None for name in pair)]
    named = {name for name in _NAMES if body.get(name) is not None}
    if len(given) != 1 or named != set(given[0]):
        pairs = ", ".join(f"`{one}` and `{other}`" for one, other in _SIDES)
        raise invalid(f"Two sides are scored: exactly one pair of {pairs}.", None)
    for name in given[0]:
        if not isinstance(body[name], str | dict):
            _check_documents(name, body[name])
    ones, others = _sides(body)
    if len(ones) not in {1, len(others)}:
        raise invalid(
            f"`{given[0][0]}` has {len(ones)} entries, and `{given[0][1]}` {len(others)}. "
            "Send one for all, or as many.",
            given[0][0],
        )


def _check_documents(name: str, documents: object) -> None:
    if not isinstance(documents, list) or not documents:
        raise invalid(f"`{name}` must be a non-empty array.", name)
    for number, document in enumerate(documents):
        if not isinstance(document, str | dict):
            raise invalid(f"`{name}[{number}]` must be a string or an object.", f"{name}[{number}]")


def units_of_rerank(body: Body) -> Units:
    """One search through so many documents."""
    return Units(documents=len(_listed(body["documents"])), searches=1)


def units_of_score(body: Body) -> Units:
    """A document is one that is scored, a search is a text that others are compared with."""
    ones, others = _sides(body)
    return Units(documents=len(others), searches=len(ones))


def edit_whole(body: bytes, model: str) -> Whole | None:
    """An answer, which has a prompt alone. Raises AnswerError."""
    document = answer_json.document_of(body)
    if document is None:
        return None
    usage, units = UsageCount(), None
    said, meta = document.get("usage"), document.get("meta")
    if isinstance(said, dict):
        prompt = said.get("prompt_tokens")
        details = said.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        usage.report_counts(said.get("total_tokens") if prompt is None else prompt, cached, 0)
    if isinstance(meta, dict):  # Cohere's
        tokens, billed = meta.get("tokens"), meta.get("billed_units")
        if isinstance(tokens, dict):
            usage.report_counts(tokens.get("input_tokens"), None, 0)
        searches = billed.get("search_units") if isinstance(billed, dict) else None
        if type(searches) is int and 0 <= searches < 2**31:
            units = {"searches": searches}
    return Whole(answer_json.named(body, document, model), usage, units)


def _sides(body: Body) -> tuple[list[Any], list[Any]]:
    """The two sides of a checked score."""
    pair = next(pair for pair in _SIDES if all(body.get(name) is not None for name in pair))
    return _listed(body[pair[0]]), _listed(body[pair[1]])


def _listed(side: Any) -> list[Any]:
    return side if isinstance(side, list) else [side]


def _scored(body: Body) -> list[Any]:
    ones, others = _sides(body)
    return list(zip(ones * len(others) if len(ones) == 1 else ones, others, strict=True))


def _inputs(body: Body) -> list[Any]:
    return [body["messages"]] if body.get("messages") is not None else bodies.texts_of(body, "input")


def _input(prompt: Any) -> int:
    if isinstance(prompt, list) and isinstance(prompt[0], dict):
        return prompts.chat(prompt) + prompts.TEMPLATE_TOKENS
    return _TEXT_TOKENS + (len(prompt) if isinstance(prompt, list) else _text(prompt))


def _pair(pair: tuple[Any, Any]) -> int:
    return _PAIR_TOKENS + _side(pair[0]) + _side(pair[1])


def _side(side: Any) -> int:
    return _text(side) if isinstance(side, str) else prompts.chat([side])


def _text(text: str) -> int:
    if text.isascii():
        return len(text)
    return max(len(text.encode()), len(unicodedata.normalize("NFKD", text).encode()))


def _around(value: Any) -> int:
    return max(prompts.printed(value), _text(value) if isinstance(value, str) else 0)


def _reads(fields: frozenset[str], of: Any, tokens_of: Any) -> prompts.Reads:
    return prompts.Reads(
        fields,
        of,
        tokens_of,
        lambda _: True,
        template_tokens=0,
        unbounded=prompts.UNBOUNDED,
        output=(),
        around=_around,
    )


INPUTS = _reads(frozenset({"input", "messages"}), _inputs, _input)
RERANK = _reads(
    frozenset({"query", "documents"}),
    lambda body: [(body["query"], one) for one in _listed(body["documents"])],
    _pair,
)
SCORE = _reads(_NAMES, _scored, _pair)
ANSWERS = Answers(edit_whole)
