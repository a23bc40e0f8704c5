"""Tenants: organizations, their users and their API keys, in a small relational database.

Belongs here: the schema, its migrations and every query on it.
Does not: sharing, limits and prices (the catalog says those), checking a request (slipway.gateway).
"""

from slipway.tenants.database import (
    KeyRecord,
    NewKey,
    RefusedChangeError,
    TenantsDatabase,
    TenantsDatabaseError,
    UnknownTenantError,
)

__all__ = [
    "KeyRecord",
    "NewKey",
    "RefusedChangeError",
    "TenantsDatabase",
    "TenantsDatabaseError",
    "UnknownTenantError",
]
