"""Organisations: those of the catalog, and how far the database has come.

Belongs here: bringing them, listing them. Does not: when they are brought (slipway.control.tenancy).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update

from slipway.tenants import projects
from slipway.tenants.models import ApiKey, ChangeCounter, Organization, User
from slipway.tenants.transactions import Transactions


@dataclass(frozen=True)
class Extent:
    """When the first organization came, how many users and keys there are, how many changes were made."""

    began_at: datetime
    users: int
    keys: int
    changes: int


def sync(database: Transactions, names: Iterable[str]) -> None:
    """Make the active organizations exactly these. One left out keeps its rows; its keys stop working."""
    wanted = set(names)
    with database.changing() as change:
        rows = change.connection.execute(select(Organization.name, Organization.active)).tuples()
        known = dict(rows.all())
        changed = [name for name, active in known.items() if active != (name in wanted)]
        for name in changed:
            change.connection.execute(
                update(Organization).where(Organization.name == name).values(active=name in wanted)
            )
        added = sorted(wanted - known.keys())
        for name in added:
            values = {"name": name, "active": True, "created_at": datetime.now(UTC)}
            change.connection.execute(insert(Organization).values(**values))
        if projects.complete_defaults(change.connection) or changed or added:
            change.made()


def names(database: Transactions) -> list[str]:
    """Names of the active organizations, sorted."""
    query = select(Organization.name).where(Organization.active).order_by(Organization.name)
    with database.reading() as connection:
        return list(connection.scalars(query))


def extent(database: Transactions) -> Extent | None:
    """How far the database has come, by one query; None where no organisation ever came."""
    query = select(
        select(func.min(Organization.created_at)).scalar_subquery(),
        select(func.count()).select_from(User).scalar_subquery(),
        select(func.count()).select_from(ApiKey).scalar_subquery(),
        select(func.coalesce(func.max(ChangeCounter.value), 0)).scalar_subquery(),
    )
    with database.reading() as connection:
        began_at, users, keys, changes = connection.execute(query).one()
    return None if began_at is None else Extent(began_at, users, keys, changes)
