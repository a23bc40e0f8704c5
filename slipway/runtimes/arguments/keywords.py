"""vLLM's arguments as keywords of its engine, where a runtime takes those instead of a command line.

Belongs here: values in the types that vLLM's parser would give them. Does not: reading words (parsing.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from slipway.runtimes.arguments import parsing
from slipway.runtimes.arguments.parsing import OF_VLLM, Argument


def of(words: Sequence[str]) -> dict[str, Any]:
    """Keyword and value of every option; the last one counts, and parts of a JSON value come together."""
    keywords: dict[str, Any] = {}
    for argument in parsing.parse(words).arguments:
        name = argument.option.replace("-", "_")
        if argument.key:
            kept = keywords.get(name)
            keywords[name] = _with_part(kept if isinstance(kept, dict) else {}, argument.key, argument.value)
        else:
            keywords[name] = _value(argument)
    return keywords


def _value(argument: Argument) -> Any:
    kind = OF_VLLM.kinds.get(argument.option)
    if kind == "flag" or not argument.values:
        return argument.on
    if kind == "text":
        return argument.value
    if kind == "list":
        return [_plain(value) for value in argument.values]
    if kind == "size":
        whole = parsing.size(argument.value)
        return whole if whole is not None else _plain(argument.value)
    values = [_plain(value) for value in argument.values]
    return values[0] if len(values) == 1 else values


def _plain(text: str) -> Any:
    """A number, a truth or JSON where it is one, else the text; YAML reads all of these."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _with_part(whole: Mapping[str, Any], key: Sequence[str], text: str) -> dict[str, Any]:
    """`{"a": {"b": 1}}` for `.a.b 1`; a `+` at the end of a key adds to a list, as vLLM does."""
    first, *rest = key
    name = first.removesuffix("+")
    kept = whole.get(name)
    if rest:
        return {**whole, name: _with_part(kept if isinstance(kept, dict) else {}, rest, text)}
    if first.endswith("+"):
        added = [_plain(each) for each in text.split(",")]
        return {**whole, name: [*(kept if isinstance(kept, list) else []), *added]}
    return {**whole, name: _plain(text)}
