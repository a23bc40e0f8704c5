"""The engine's own name of a model, where its words repeat it: tenants read the name that they asked for.

Belongs here: finding that name in a sentence. Does not: what an engine is sent, and answers' field
`model` (slipway.gateway.request).

A name may be a word, or part of one: an engine's `text` is in "maximum context length", too.
"""

from __future__ import annotations

import re

# What a longer name could go on with; a full stop ends a sentence, unless more follows.
_BEFORE, _AFTER = r"(?<![\w./:@-])", r"(?![\w/:@-]|\.\w)"
_QUOTES = "[\"'`]"


def renamed(sentence: str, own: str, name: str) -> str:
    """The sentence with `name` for the engine's own. One that is a plain word counts only within quotes."""
    found = rf"(?<={_QUOTES}){re.escape(own)}(?={_QUOTES})" if own.isalpha() else _whole(own)
    return re.sub(found, lambda _: name, sentence)


def is_said(sentence: str, own: str) -> bool:
    """Whether the engine's own name is there as a whole word."""
    return re.search(_whole(own), sentence) is not None


def _whole(own: str) -> str:
    return f"{_BEFORE}{re.escape(own)}{_AFTER}"
