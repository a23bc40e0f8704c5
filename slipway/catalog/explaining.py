"""What a field of the wrong kind is told: each error of validation in the words of who writes a catalog.

Belongs here: a table from kinds of errors to words.
Does not: where the error is (slipway.catalog.files), what fields owe each other (slipway.catalog.rules).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What a field takes, by how the names of its errors begin.
_WANTED = {
    "string": "text",
    "bytes": "text",
    "url": "a URL",
    "int": "a whole number",
    "float": "a number",
    "decimal": 'a number in quotes, such as "0.15"',
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "set": "a list",
    "frozen": "a list",
    "iterable": "a list",
    "iteration": "a list",
    "dict": "a mapping of names to values",
    "mapping": "a mapping of names to values",
    "model": "a mapping of fields",
    "dataclass": "a mapping of fields",
    "date": "a day such as 2026-01-01",
    "datetime": "an instant such as 2026-01-01T00:00:00Z",
    "time": "a duration in seconds",
    "none": "nothing",
}
_BOUNDS = {
    "greater_than": ("gt", "too small", "more than"),
    "greater_than_equal": ("ge", "too small", "at least"),
    "less_than": ("lt", "too large", "less than"),
    "less_than_equal": ("le", "too large", "at most"),
    "multiple_of": ("multiple_of", "does not fit", "a multiple of"),
}
_FORMS = {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": (
        "lower-case letters, digits and hyphens, with a letter or digit at both ends"
    ),
    r"^(team:[A-Za-z0-9_-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$": (
        "team:<name>, or an e-mail address such as jane@example.com"
    ),
    r"^\d+g\.\d+gb$": "a MIG profile such as 1g.10gb",
    r"^/[a-z0-9/-]+$": "a path such as /llm, of lower-case letters, digits, hyphens and slashes",
    r"^https?://[^/\s@]+/?$": "the address alone, such as https://s3.example",
    r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$": "a host name such as llm.example.com",
    r"^[A-Z]{3}$": "three capital letters, such as USD",
    r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$": (
        "a tag of up to 128 letters, digits, dots, hyphens and underscores, such as v0.9.1"
    ),
    r"^sha256:[0-9a-f]{64}$": "sha256: and 64 hex digits",
    r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$": "a platform such as linux/amd64",
}


def explain(
    errors: Sequence[Mapping[str, Any]], known_fields: Iterable[str], value: object, about: str | None
) -> str:
    """Say what is wrong with one field, and what to do.

    `errors` are those of the field, several where it takes one of several things; `about` is its description.
    """
    first = errors[0]
    if first["type"] == "extra_forbidden":
        return unknown_field(str(first["loc"][-1]), sorted(known_fields))
    if len({each["type"] for each in errors}) > 1:
        wanted = dict.fromkeys(_wanted(each) for each in errors)
        return f"{_given(value)}, which this field does not take. Write {' or '.join(wanted)}"
    return _one(first, value, about)


def unknown_field(name: str, known: Sequence[str]) -> str:
    """A field that is none, and the one that may have been meant."""
    meant = resembling(name, known)
    if meant is not None:
        return f"unknown field. Did you mean {meant}? Rename or remove it"
    return f"unknown field. Remove it, or use one of: {', '.join(known)}"


def resembling(name: str, known: Iterable[str]) -> str | None:
    """The name among those known that somebody may have meant."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def _one(error: Mapping[str, Any], value: object, about: str | None) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing. Add it"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"not one of the choices. Write {_choices(context)}"
    if kind == "string_pattern_mismatch":
        form = _FORMS.get(context["pattern"]) or (about or "another form").rstrip(".")
        return f"does not have the form that this field takes. Write {form}"
    if kind in ("string_too_long", "too_long", "bytes_too_long"):
        unit = "characters" if kind == "string_too_long" else "entries"
        return f"longer than {context['max_length']} {unit}. Shorten it"
    if kind in ("string_too_short", "too_short", "bytes_too_short"):
        unit = "character" if kind == "string_too_short" else "entry"
        return f"shorter than {context['min_length']} {unit}. Write at least that, or remove the field"
    if kind in _BOUNDS:
        bound, what, words = _BOUNDS[kind]
        return f"{what}. Write {words} {_plain(context[bound])}"
    if kind == "finite_number":
        return "not a finite number. Write one"
    if kind in ("int_from_float", "int_parsing_size"):
        return "not a whole number of a size that can be meant. Write a smaller whole number"
    return _other_type(_wanted(error), value)


def _other_type(wanted: str, value: object) -> str:
    given = _given(value)
    if value is None:
        return f"empty. Write {wanted}, or remove the field"
    if wanted == "text" and not isinstance(value, list | dict):
        return f"{given} where text is expected. Put it in quotes"
    if given == wanted:  # such as text that is no text of that kind
        return f"not {wanted} that can be meant. Correct it"
    return f"{given} where {wanted} is expected. Correct it, or remove the field"


def _given(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return "nothing" if value is None else "text"


def _wanted(error: Mapping[str, Any]) -> str:
    if error["type"] == "literal_error":
        return _choices(error["ctx"])
    return _WANTED.get(str(error["type"]).partition("_")[0], "something else")


def _choices(context: Mapping[str, Any]) -> str:
    return str(context["expected"]).replace("'", "")


def _plain(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) and bound < 1e6 else str(bound)
