"""Answers questions about usage out of published Parquet, with bounded memory and one thread.

Belongs here: running the query of usage.sql, and what of its trouble may pass. Does not: fetching
(day_files.py), what is asked (question.py).

Rows of other organizations are read past by DuckDB: none of them becomes a value of Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.gateway.admin.usage.day_files import DayFiles
from slipway.gateway.admin.usage.question import Question
from slipway.gateway.telemetry import log
from slipway.objectstore import ObjectStore
from slipway.records import published_usage
from slipway.tenants import users

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_RESULTS = 20_000
_MEMORY = "256MB"
# What rows of today have; of files of older versions the missing columns are NULL.
_COLUMNS = {
    "hour": "TIMESTAMPTZ",
    **dict.fromkeys(("org", "user", "api_key", "model", "task", "currency"), "VARCHAR"),
    **dict.fromkeys(("requests", "client_errors", "limited"), "BIGINT"),
    **dict.fromkeys(("input_uncached", "input_cached", "output"), "BIGINT"),
    **dict.fromkeys(("input_audio_ms", "output_audio_ms", "characters", "documents", "searches"), "BIGINT"),
    "cost": "DECIMAL(38, 12)",
}  # fmt: skip

Row = Mapping[str, Any]


class UnreadableUsageError(RuntimeError):
    """Published files that cannot be read; `str` is for the log."""


class TooManyResultsError(ValueError):
    """More results than one answer has."""


@dataclass(frozen=True)
class Used:
    """Rows by bucket and group, and until when the published usage is complete (None: not known)."""

    rows: Sequence[Row]
    complete_until: datetime | None


class UsageReader:
    """Reads published usage of one organization at a time. Safe to share between threads."""

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        self._store = store
        self._days = DayFiles(store, directory, published_usage.USAGE)

    def used(self, org: str, question: Question, projects: Mapping[str, str]) -> Used:
        """What an organization used; `projects` has the project of each of its API keys.

        Raises ObjectStoreError, OSError, UnreadableUsageError and TooManyResultsError.
        """
        # The mark first: what is read after it has all that it promises.
        complete_until = self._complete_until()
        buckets = question.page.buckets
        if question.nothing or not buckets or not (question.kind.tasks or question.kind.is_costs):
            return Used((), complete_until)
        first, last = (
            datetime.fromtimestamp(at, UTC).date() for at in (buckets[0].start, buckets[-1].end - 1)
        )
        with self._days.of(first, last) as files:
            rows = _rows(files, org, question, projects) if files else ()
        if len(rows) > MOST_RESULTS:
            raise TooManyResultsError
        return Used(rows, complete_until)

    def _complete_until(self) -> datetime | None:
        try:
            complete = published_usage.read_complete(self._store)
        except ValueError as error:  # the next publication writes it anew
            log.write("warning", "until when usage is complete cannot be read", error=str(error))
            return None
        return None if complete is None else complete.until


def _rows(files: Sequence[Path], org: str, question: Question, projects: Mapping[str, str]) -> list[Row]:
    import duckdb

    connection = duckdb.connect()
    try:
        connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{_MEMORY}'; SET threads = 1")
        _fill(connection, files, org, question, projects)
        by = question.group_by
        cursor = connection.execute(
            _sql(),
            {
                "tasks": None if question.kind.is_costs else sorted(question.kind.tasks),
                "projects": _list(question.projects),
                "users": _list(question.users),
                "api_keys": _list(question.api_keys),
                "models": _list(question.models),
                "by_project": "project_id" in by,
                "by_user": "user_id" in by,
                "by_api_key": "api_key_id" in by,
                "by_model": "model" in by or "line_item" in by,
                "by_currency": question.kind.is_costs,
                "most": MOST_RESULTS + 1,
            },
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error as error:
        raise UnreadableUsageError(f"published usage cannot be read: {error}") from error
    finally:
        connection.close()


def _fill(
    connection: DuckDBPyConnection,
    files: Sequence[Path],
    org: str,
    question: Question,
    projects: Mapping[str, str],
) -> None:
    """The temporary tables of usage.sql."""
    buckets = question.page.buckets
    connection.execute(
        "CREATE TEMP TABLE bucket AS SELECT unnest($number::INTEGER[]) AS number, "
        "to_timestamp(unnest($begins::BIGINT[])) AS begins, to_timestamp(unnest($ends::BIGINT[])) AS ends",
        {
            "number": list(range(len(buckets))),
            "begins": [bucket.start for bucket in buckets],
            "ends": [bucket.end for bucket in buckets],
        },
    )
    connection.execute(
        "CREATE TEMP TABLE key_project AS SELECT unnest($keys::VARCHAR[]) AS api_key, "
        "unnest($projects::VARCHAR[]) AS project",
        {"keys": list(projects), "projects": list(projects.values())},
    )
    columns = ", ".join(f'"{name}" {kind}' for name, kind in _COLUMNS.items())
    connection.execute(f"CREATE TEMP TABLE published ({columns})")
    paths = [str(path) for path in files]
    cursor = connection.execute(
        "DESCRIBE SELECT * FROM read_parquet($paths, union_by_name = true)", {"paths": paths}
    )
    there = ", ".join(f'"{row[0]}"' for row in cursor.fetchall() if row[0] in _COLUMNS)
    connection.execute(
        f"INSERT INTO published BY NAME SELECT {there} FROM read_parquet($paths, union_by_name = true) "  # noqa: S608
        "WHERE org = $org AND hour >= to_timestamp($begins) AND hour < to_timestamp($ends)",
        {"paths": paths, "org": org, "begins": buckets[0].start, "ends": buckets[-1].end},
    )
    names = [name for (name,) in connection.execute('SELECT DISTINCT "user" FROM published').fetchall()]
    connection.execute(
        'CREATE TEMP TABLE caller AS SELECT unnest($names::VARCHAR[]) AS "user", '
        "unnest($ids::VARCHAR[]) AS id",
        {"names": names, "ids": [users.id_of(org, name) for name in names]},
    )


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


@cache
def _sql() -> str:
    return Path(__file__).with_name("usage.sql").read_text()
