"""What is never shown: values of fields that bear secrets, text that looks like one, control characters.

Belongs here: telling a secret by its field or by its form, and making text fit for a terminal and a log.
Does not: rules that refuse secrets in a catalog (slipway.catalog.rules).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

HIDDEN = "(not shown)"

# A field by its name, letters and digits alone. `tokens_per_minute` and `max_tokens` are none.
_BEARING = re.compile(
    r"secret|password|passwd|passphrase|credential|"
    r"(token|apikey|accesskey|privatekey|signingkey|routingkey|licen[cs]ekey|authorization|bearer|webhook|pwd)$"
)
# Where a field has such a name and holds no secret: limits of each API key.
_NO_SECRETS = (("limits", "api_key"), ("spec", "limits", "api_key"))

# Forms of secrets that their makers document, and URLs with a password.
_START = r"(?<![A-Za-z0-9])"
_FORMS = (
    rf"{_START}hf_[A-Za-z0-9]{{6,}}",
    rf"{_START}nvapi-[\w-]{{6,}}",
    rf"{_START}sk-[\w-]{{8,}}",
    rf"{_START}(?:gh[pousr]_|github_pat_|glpat-)\w[\w-]{{9,}}",
    rf"{_START}xox[abeoprs]-[\w-]{{8,}}",
    rf"{_START}(?:AKIA|ASIA)[A-Z0-9]{{12,}}",
    rf"{_START}AIza[\w-]{{20,}}",
    rf"{_START}eyJ[\w-]{{8,}}\.[\w-]+(?:\.[\w-]*)?",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END|$)",
    r"https://hooks\.slack\.com/\S+",
    r"--?[\w-]*(?:token|api[-_]?key|password|secret)[=:]\s*\S+",
    r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)",
)
_LOOKS_SECRET = re.compile("|".join(_FORMS))
# What nobody would give as a name: one long word of both cases with digits.
_OPAQUE = re.compile(r"(?=(\w*[a-z]){3})(?=(\w*[A-Z]){3})(?=(\w*\d){2})\w{20,}", re.ASCII)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def bears_secret(path: Sequence[str | int]) -> bool:
    """Whether a field, or one around it, is one whose value nobody else should see."""
    for benign in _NO_SECRETS:
        if tuple(path[: len(benign)]) == benign:
            path = path[len(benign) :]
    return any(
        _BEARING.search(re.sub(r"[^a-z0-9]", "", part.lower())) for part in path if isinstance(part, str)
    )


def names_secret_argument(text: object) -> bool:
    """Whether the argument after this one is a secret, such as that of `--api-key`."""
    return isinstance(text, str) and text.startswith("-") and "=" not in text and bears_secret((text,))


def looks_secret(text: str) -> bool:
    """Whether some of a text has the form of a secret."""
    return _LOOKS_SECRET.search(text) is not None or _OPAQUE.fullmatch(text) is not None


def has_form_of_secret(text: str) -> bool:
    """Whether a text holds what only a secret can be: a documented form at its full length."""
    found = _LOOKS_SECRET.search(text)
    return found is not None and len(found[0]) >= 20 and any(letter.isdigit() for letter in found[0])


def concealed(text: str) -> str:
    """A text without what has the form of a secret."""
    return _LOOKS_SECRET.sub(HIDDEN, text)


def printable(text: str) -> str:
    """A text on one line without control characters: a terminal does what they say, and a log breaks."""
    return _CONTROL.sub(lambda found: _escape(found[0]), text)


def control_character(text: str) -> str | None:
    """The first control character of a text that may have several lines, as `U+001B`; None without one."""
    found = next((each[0] for each in _CONTROL.finditer(text) if each[0] not in "\n\t\r"), None)
    return None if found is None else f"U+{ord(found):04X}"


def conceal(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Plain JSON values for showing: what bears or looks like a secret is replaced, wherever it lies."""
    if isinstance(value, dict):
        return {concealed(str(key)): conceal(inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [conceal(inner, path) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if bears_secret(path):
        return HIDDEN
    return concealed(value) if isinstance(value, str) else value


def _escape(character: str) -> str:
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    code = ord(character)
    return known.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
