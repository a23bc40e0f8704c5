"""Problems of a catalog: where, what, why, and what to do.

Belongs here: the value that `slipway check` prints, fit to be shown to anybody.
Does not: finding problems (slipway.catalog.files, slipway.catalog.rules), their words (explaining.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slipway.catalog.concealing import HIDDEN, bears_secret, concealed, looks_secret, printable

FieldPath = tuple[str | int, ...]
_LONGEST_VALUE = 80
_LONGEST_FIELD = 200


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


@dataclass(frozen=True)
class Problem:
    """One finding with its place, printed as `file:line  kind[name].field = value: message.`

    Whatever it was made of, it shows no secret that has a known form, and is one line.
    """

    file: Path
    line: int
    field: str
    value: str | None
    message: str
    severity: Literal["error", "warning"] = dataclasses.field(default="error", compare=False)

    def __str__(self) -> str:
        field = _cut(self.field, _LONGEST_FIELD)
        value = f" = {self.value}" if self.value is not None else ""
        mark = "" if self.severity == "error" else "warning: "
        text = f"{self.file}:{self.line}  {mark}{field}{value}: {self.message.rstrip('.')}."
        return printable(concealed(text))

    def as_warning(self) -> Problem:
        """The same as what may be left."""
        return dataclasses.replace(self, severity="warning")

    def __lt__(self, other: Problem) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[Path, int, str, str, str]:
        return self.file, self.line, self.field, self.value or "", self.message


class CatalogError(ValueError):
    """The catalog has errors; `problems` holds all of them, in file order, `warnings` what may be left."""

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> None:
        self.problems, self.warnings = tuple(problems), tuple(warnings)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: FieldPath) -> str:
    """`("prices", 0, "input")` as `prices[0].input`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object, path: FieldPath = ()) -> str | None:
    """A scalar as a person wrote it; None for what is better not repeated (mappings, long lists).

    `path` is its field's: where that bears a secret, the value is hidden.
    """
    if value is None or isinstance(value, dict):
        return None
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str | int | float) for item in items):
        return None
    if bears_secret(path) or any(looks_secret(str(item)) for item in items):
        return HIDDEN
    return _cut(printable(", ".join(str(item) for item in items)), _LONGEST_VALUE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
