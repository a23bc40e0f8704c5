"""Query strings and small bodies, as administration calls have them, read with bounds.

Belongs here: texts, numbers, flags and lists as OpenAI's SDK writes them, and words for what is none.
Does not: which of them a call has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from slipway.gateway.api.errors import ApiError, invalid

MAX_BODY_BYTES = 64 * 1024
LONGEST_NAME = 255
_MOST_VALUES = 1_000
_LONGEST_VALUE = 1_024
_LONGEST_SHOWN = 64
_FLAGS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


class Parameters:
    """A query string. A list is `name[]=a&name[]=b`, as the SDK writes it, or `name=a&name=b`."""

    def __init__(self, query: bytes) -> None:
        try:
            pairs = parse_qsl(
                query.decode("latin-1"),
                keep_blank_values=True,
                encoding="utf-8",
                errors="strict",
                max_num_fields=_MOST_VALUES,
            )
        except ValueError as error:
            raise invalid(
                f"The query string is not UTF-8, or has more than {_MOST_VALUES} parameters.", None
            ) from error
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if len(value) > _LONGEST_VALUE or "\0" in value:
                raise bad_parameter(
                    name[:_LONGEST_SHOWN], f"It is longer than {_LONGEST_VALUE}, or has a NUL."
                )
            self._values.setdefault(name.removesuffix("[]"), []).append(value)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """All values; None where there is none."""
        values = self._values.get(name)
        return None if values is None else tuple(values)

    def text(self, name: str) -> str | None:
        """The one value. Raises ApiError for several."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise bad_parameter(name, f"It is given {len(values)} times. Give it once.")
        return values[0] if values and values[0] else None

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds. Raises ApiError."""
        text = self.text(name)
        if text is None:
            return None
        if len(text) <= 20 and text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        raise bad_parameter(name, f"`{text[:_LONGEST_SHOWN]}` is not a whole number from {least} to {most}.")

    def flag(self, name: str) -> bool | None:
        """True or false. Raises ApiError."""
        text = self.text(name)
        if text is None:
            return None
        if text not in _FLAGS:
            raise bad_parameter(name, f"`{text[:_LONGEST_SHOWN]}` is neither `true` nor `false`.")
        return _FLAGS[text]

    def choice(self, name: str, *choices: str) -> str | None:
        """One of these. Raises ApiError."""
        text = self.text(name)
        if text is not None and text not in choices:
            allowed = ", ".join(f"`{choice}`" for choice in choices)
            raise bad_parameter(name, f"`{text[:_LONGEST_SHOWN]}` is not one of {allowed}.")
        return text


class Fields:
    """A body's fields. One that the call does not know is an error: nothing is taken that has no effect."""

    def __init__(self, body: bytes, known: frozenset[str]) -> None:
        self._fields = _object(body)
        for name in self._fields:
            if name not in known:
                allowed = ", ".join(f"`{each}`" for each in sorted(known)) or "none"
                shown = name[:_LONGEST_SHOWN]
                raise invalid(f"`{shown}` is not a field of this call here. It has: {allowed}.", shown)

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str, longest: int) -> str | None:
        """A text that is not empty. Raises ApiError."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
            raise bad_parameter(name, f"It is not a text of 1 to {longest} printable characters.")
        return value

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds. Raises ApiError."""
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise bad_parameter(name, f"It is not a whole number from {least} to {most}.")
        return value

    def flag(self, name: str) -> bool:
        """True, or false where it is absent. Raises ApiError."""
        value = self._fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise bad_parameter(name, "It is neither true nor false.")
        return bool(value)


def bad_parameter(name: str, reason: str) -> ApiError:
    """400 for a parameter or field, and why."""
    return invalid(f"`{name}`: {reason}", name)


def required(value: str | None, name: str) -> str:
    """The value; raises ApiError where it is missing."""
    if value is None:
        raise bad_parameter(name, "It is required.")
    return value


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise invalid("The request body is not JSON.", None) from error
    if not isinstance(document, dict):
        raise invalid("The request body is not a JSON object.", None)
    return document
