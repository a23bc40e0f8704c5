"""The SQL of metering: the files in `sql/`, by their names.

Belongs here: loading them. Does not: which of them make the schema (schema.py), running them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_SQL = Path(__file__).parent / "sql"


@cache
def sql(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (_SQL / f"{name}.sql").read_text()
