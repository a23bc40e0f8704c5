"""The tenants' database as a catalog's organisations come to it, and noticing when it was lost.

Belongs here: reading it against its mark, bringing organisations, accepting it as it is.
Does not: its tables (slipway.tenants), what differs from a catalog (differences.py).

A database that was lost is not made again unasked: gateways go on with the keys that they hold while it is
away, and an empty one in its place would take them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from slipway.control.connections import Connections
from slipway.environment import MissingSettingError
from slipway.objectstore import ObjectStoreError
from slipway.records import tenants_mark
from slipway.records.tenants_mark import TenantsMark


class TenantsLostError(RuntimeError):
    """The tenants' database has less than it had; the message says what, and what a person may do."""


@dataclass(frozen=True)
class Seen:
    """The database as it is: its active organisations and how far it has come, None where there is nothing.

    `loss` says what is gone of what it had; None where nothing is.
    """

    orgs: frozenset[str] | None
    mark: TenantsMark | None
    noted: TenantsMark | None
    loss: str | None


def look(at: Connections) -> Seen:
    """Read the database and its mark. Raises TenantsDatabaseError, ObjectStoreError, ValueError."""
    noted = tenants_mark.read(at.store)
    if not at.tenants.is_set_up():
        return Seen(None, None, noted, _loss(at, noted, None))
    mark = _mark(at)
    return Seen(frozenset(at.tenants.orgs()), mark, noted, _loss(at, noted, mark))


def note(at: Connections) -> Seen:
    """Look, and remember how far the database has come, unless it was lost."""
    seen = look(at)
    if seen.loss is None and seen.mark is not None and seen.mark != seen.noted:
        tenants_mark.write(at.store, seen.mark)
    return seen


def sync_orgs(at: Connections, names: Iterable[str]) -> None:
    """Make the active organisations exactly these. Raises TenantsLostError, and then changes nothing."""
    loss = look(at).loss
    if loss is not None:
        raise TenantsLostError(loss)
    at.tenants.migrate()
    at.tenants.sync_orgs(names)
    note(at)


def require_org(at: Connections, org: str) -> None:
    """Raise TenantsLostError where an organisation is missing because the database was lost.

    Makes nothing. Where the store cannot be asked, nothing is known of a loss.
    """
    if at.tenants.is_set_up() and org in at.tenants.orgs():
        return
    try:
        loss = look(at).loss
    except (MissingSettingError, ObjectStoreError):
        return
    if loss is not None:
        raise TenantsLostError(loss)


def accept(at: Connections) -> TenantsMark | None:
    """Take the database as it is for what it should be from now on; returns how far it has come."""
    mark = _mark(at) if at.tenants.is_set_up() else None
    tenants_mark.write(at.store, mark)
    return mark


def _mark(at: Connections) -> TenantsMark | None:
    extent = at.tenants.extent()
    return None if extent is None else TenantsMark(**asdict(extent))


def _loss(at: Connections, noted: TenantsMark | None, mark: TenantsMark | None) -> str | None:
    lacking = noted.lacking(mark) if noted is not None else None
    if noted is None or lacking is None:
        return None
    return (
        f"the tenants' database {at.tenants.name} {lacking}; it had {noted.users} users and {noted.keys} "
        "keys. Restore it from a backup, or correct SLIPWAY_TENANTS_DB; gateways that run go on with the "
        "keys that they hold. To go on without what is gone: `slipway tenants accept`, then make new keys"
    )
