"""What goes wrong with the tenants' database, in sentences: what it is, and what a person may do.

Belongs here: the errors of this room, and an error of a driver in words.
Does not: noticing (transactions.py), a database that was lost (slipway.control.tenancy).
"""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

CHECK = "Check SLIPWAY_TENANTS_DB, that the server is up, and that the migrations have run."
MIGRATE = "Check SLIPWAY_TENANTS_DB, then run the migrations: any `slipway key` command does"


class TenantsDatabaseError(RuntimeError):
    """The database cannot be reached, or lacks its schema; the message says which one and what to do."""


class UnknownTenantError(LookupError):
    """An organization, project, user or key that does not exist."""


class RefusedChangeError(ValueError):
    """A change that may not be made; `field` is what of it, such as `name`."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


# By PostgreSQL's SQLSTATE, the longest that begins it; none of these texts is the server's.
_BY_STATE = {
    "08": "the connection broke off. Check that the server is up",
    "25006": "is read-only. Write to the primary in SLIPWAY_TENANTS_DB, not to a standby",
    "28": "refuses these credentials. Correct user and password in SLIPWAY_TENANTS_DB",
    "3D000": "there is no such database on the server. Create it, or correct SLIPWAY_TENANTS_DB",
    "42501": "its user may not do this. Grant the rights on the tables to the user in SLIPWAY_TENANTS_DB",
    "42P01": f"lacks a table. {MIGRATE}",
    "42703": f"lacks a column. {MIGRATE}",
    "53100": "the server's disk is full. Make room on it",
    "53300": "the server has no connection left. Raise its max_connections, or end what holds them",
    "55P03": "another change was under way for too long. Try again, or end what holds a lock on its tables",
    "57014": "did not answer in time. Look for what holds its tables, or what slows the server down",
    "57P": "the server is starting or stopping. Try again shortly",
    "40": "another change came between. Try again",
}
# By a part of what SQLite says.
_BY_WORDS = {
    "database is locked": "another process is writing for too long. End what holds the file, then try again",
    "readonly database": "is read-only. Give this process the right to write the file and its directory",
    "unable to open database file": "cannot be opened. Check its path and the rights on its directory",
    "no such table": f"lacks a table. {MIGRATE}",
    "no such column": f"lacks a column. {MIGRATE}",
    "file is not a database": "is no SQLite database. Restore a backup, or correct SLIPWAY_TENANTS_DB",
    "malformed": "is damaged. Restore it from a backup",
    "disk is full": "its disk is full. Make room on it",
}
_NOBODY = "cannot be reached: nothing listens there. Check SLIPWAY_TENANTS_DB, and that the server is up"
# By a part of what libpq says before there is a state.
_BY_LIBPQ = {
    "password authentication failed": _BY_STATE["28"],
    "no password supplied": _BY_STATE["28"],
    "does not exist": _BY_STATE["3D000"],
    "too many clients": _BY_STATE["53300"],
    "too many connections": _BY_STATE["53300"],
    "remaining connection slots": _BY_STATE["53300"],
    "starting up": _BY_STATE["57P"],
    "shutting down": _BY_STATE["57P"],
    "timeout expired": "cannot be reached: no answer in time. Check its address and its network",
    "failed to resolve": "its host has no address. Correct the host in SLIPWAY_TENANTS_DB",
    "could not translate host name": "its host has no address. Correct the host in SLIPWAY_TENANTS_DB",
    "connection refused": _NOBODY,
    "no such file": _NOBODY,
    "closed the connection": _BY_STATE["08"],
    "connection is lost": _BY_STATE["08"],
}


def explained(name: str, error: SQLAlchemyError) -> TenantsDatabaseError:
    """The error in words; `name` is the database's, without its password."""
    return TenantsDatabaseError(f"tenants' database {name}: {_reason(error)}.")


def _reason(error: SQLAlchemyError) -> str:
    if isinstance(error, PoolTimeoutError):
        return "all of this process's connections are in use. Try again, or look for what holds them"
    cause = getattr(error, "orig", None)
    state = getattr(cause, "sqlstate", None) or ""
    for length in (5, 3, 2):
        if state[:length] in _BY_STATE and state:
            return _BY_STATE[state[:length]]
    said = str(cause or error)
    for words in (_BY_WORDS, _BY_LIBPQ):
        for part, reason in words.items():
            if part in said.lower():
                return reason
    return f"{' '.join(said.split())}. {CHECK}".removesuffix(".")
