"""Problems of a catalog: where, what, why, and what to do.

Belongs here: the value that `slipway check` prints, and pydantic's errors in our words.
Does not: finding problems (slipway.catalog.files, slipway.catalog.rules).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """What a semantic check says of one field of one document; the loader adds file, line and value."""

    kind: str
    name: str
    path: FieldPath
    message: str
    severity: Literal["error", "warning"] = "error"
    show_value: bool = True
    missing: tuple[str, str] | None = None  # (kind, name) that is referred to and not there


@dataclass(frozen=True, order=True)
class Problem:
    """One finding with its place, printed as `file:line  kind[name].field = value: message.`"""

    file: Path
    line: int
    field: str
    value: str | None
    message: str
    severity: Literal["error", "warning"] = dataclasses.field(default="error", compare=False)

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value is not None else ""
        mark = "" if self.severity == "error" else "warning: "
        return f"{self.file}:{self.line}  {mark}{self.field}{value}: {self.message.rstrip('.')}."


class CatalogError(ValueError):
    """The catalog has errors; `problems` holds all of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: FieldPath) -> str:
    """`("prices", 0, "input")` as `prices[0].input`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object) -> str | None:
    """A scalar as a person wrote it; None for what is better not repeated (mappings, long lists)."""
    if value is None or isinstance(value, dict):
        return None
    text = str(value) if not isinstance(value, list) else ", ".join(str(item) for item in value)
    return text if len(text) <= 80 else text[:77] + "..."


def explain(error: Mapping[str, Any], known_fields: Iterable[str]) -> str:
    """Say in our words what pydantic found: what is wrong, and what to do."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(str(error["loc"][-1]), sorted(known_fields))
    if kind == "missing":
        return "is missing. Add it"
    if kind == "literal_error":
        return f"not one of the choices. Write {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return f"does not have the form {context['pattern']}. Change it to fit"
    if kind == "string_too_long":
        return f"longer than {context['max_length']} characters. Shorten it"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}. Correct the value"


def _unknown_field(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"unknown field. Did you mean {close[0]}? Rename or remove it"
    return f"unknown field. Remove it, or use one of: {', '.join(known)}"
