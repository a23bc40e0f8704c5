"""The tenants' database as most of Slipway uses it: organisations, users and API keys by one object.

Belongs here: what the gateway, the control room and the commands share, in a line each.
Does not: queries, which are in a module per table; what is managed beyond that calls those with this object:
`projects.create(database, org, name)`.
"""

from __future__ import annotations

from collections.abc import Iterable

from slipway.tenants import keys, migrating, organizations, users
from slipway.tenants.keys import KeyRecord as KeyRecord
from slipway.tenants.organizations import Extent
from slipway.tenants.secret import SECRET_PREFIX as SECRET_PREFIX
from slipway.tenants.secret import NewKey as NewKey
from slipway.tenants.secret import digest as digest
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import RefusedChangeError as RefusedChangeError
from slipway.tenants.trouble import TenantsDatabaseError as TenantsDatabaseError
from slipway.tenants.trouble import UnknownTenantError as UnknownTenantError


class TenantsDatabase(Transactions):
    """The database at one SQLAlchemy URL. Safe to share between threads; connects on first use.

    Everything may raise TenantsDatabaseError.
    """

    def migrate(self) -> None:
        """Bring the schema to the newest revision; harmless when it is there, and when two do it at once."""
        migrating.migrate(self)

    def catch_up(self) -> None:
        """Migrate a database that an earlier version has made; leave any other alone, and an empty one."""
        if migrating.is_behind(self):
            migrating.migrate(self)

    def is_set_up(self) -> bool:
        """Whether the database has its tables; asks, and makes nothing."""
        return migrating.is_set_up(self)

    def sync_orgs(self, names: Iterable[str]) -> None:
        """Make the active organizations exactly these. One left out keeps its rows; its keys stop working."""
        organizations.sync(self, names)

    def orgs(self) -> list[str]:
        """Names of the active organizations, sorted."""
        return organizations.names(self)

    def extent(self) -> Extent | None:
        """How far the database has come, by one query; None where no organisation ever came."""
        return organizations.extent(self)

    def add_user(self, org: str, user: str) -> None:
        """Add a user to an organization; harmless when there. Raises UnknownTenantError without the org."""
        users.add(self, org, user)

    def create_key(self, org: str, user: str, label: str) -> NewKey:
        """Make a key in the default project. Raises UnknownTenantError without the user."""
        return keys.create(self, org, user, label)

    def revoke_key(self, id: str) -> None:
        """Revoke a key; harmless when it is revoked. Raises UnknownTenantError when there is none."""
        keys.revoke(self, id)

    def keys(self) -> list[KeyRecord]:
        """All keys, the revoked ones too, oldest first."""
        return keys.everyone(self)
