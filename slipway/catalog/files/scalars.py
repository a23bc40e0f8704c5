"""What a word without quotes means in a catalog: YAML 1.1, without the readings that surprise people.

Belongs here: from a scalar's text to text, number, true, false or nothing.
Does not: documents (positions.py), what a field takes (slipway.catalog).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)", re.ASCII)
_OTHER_BASE = re.compile(r"[-+]?0(x[0-9a-fA-F_]*[0-9a-fA-F]|b[01_]*[01])", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]{1,4})?", re.ASCII)
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", re.ASCII)
_MOST_DIGITS = 40  # more is no number that anything here counts

_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset({f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")})


@dataclass(frozen=True)
class Scalar:
    """A scalar as read. `doubt`: why it is no number, as it is in YAML 1.1; `flaw`: it cannot be meant."""

    value: str | int | float | bool | None
    doubt: str | None = None
    flaw: str | None = None


def read_scalar(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """The meaning of a scalar; `plain` says that it stands without quotes."""
    if tag not in (None, "!"):
        if tag not in _KNOWN_TAGS:
            return Scalar(text, flaw="has a tag that a catalog does not know. Remove what begins with !")
        if tag != f"{_TAG}str":
            return _plain(text)
    elif plain:
        return _plain(text)
    return Scalar(text)


def _plain(text: str) -> Scalar:
    if text in _NULL:
        return Scalar(None)
    if text in _TRUE or text in _FALSE:
        return Scalar(text in _TRUE)
    if len(text) > _MOST_DIGITS:
        return Scalar(text)
    if _DECIMAL.fullmatch(text):
        return Scalar(int(text.replace("_", "")))
    if _OTHER_BASE.fullmatch(text):
        return Scalar(int(text.replace("_", ""), 0))
    if _FLOAT.fullmatch(text) or _NO_NUMBER.fullmatch(text):
        return Scalar(float(re.sub(r"\.(inf|nan)$", r"\1", text.replace("_", "").lower())))
    if _LEADING_ZERO.fullmatch(text):
        return Scalar(text, doubt="begins with 0, which YAML takes for octal. Write it without the 0")
    if _SEXAGESIMAL.fullmatch(text):
        return Scalar(
            text, doubt="written with a colon, which YAML takes for base 60. Write one plain number"
        )
    return Scalar(text)
