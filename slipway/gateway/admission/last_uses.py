"""Which keys were used since it was last asked, and noting it in the tenants' database, all at once.

Belongs here: what is held until then. Does not: what a request does (auth.py), the rows (slipway.tenants).

A request only leaves an instant in a dictionary; a thread writes once a minute, so that a key costs the
database a row a minute at most, however often it is used. What a killed gateway had not noted is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from slipway.tenants import last_uses
from slipway.tenants.transactions import Transactions

INTERVAL_S = 60.0

Uses = dict[str, datetime]


class LastUses:
    """Uses by ids of keys. `seen` is written by the event loop, `note` is called by one thread."""

    def __init__(self) -> None:
        self.seen: Uses = {}

    def noting(self, database: Transactions) -> Callable[[], None]:
        """What writes them there. It raises TenantsDatabaseError, and keeps them for the next time."""

        def note() -> None:
            taken, self.seen = self.seen, {}
            uses = taken.copy()  # a request that had the old one may still write into it
            try:
                last_uses.note(database, uses)
            except BaseException:
                for id, at in uses.items():
                    self.seen.setdefault(id, at)
                raise

        return note
