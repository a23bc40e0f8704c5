"""When keys were last used, as gateways note it now and then.

Belongs here: writing it. Does not: noticing a use (slipway.gateway.admission.last_uses).

It is no change that a gateway has to follow: the counter stays, and no key is read again for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from sqlalchemy import bindparam, or_, update

from slipway.tenants.models import AdminKey, ApiKey, UtcDateTime
from slipway.tenants.transactions import Transactions

# In one transaction: others that change something wait for it.
_AT_ONCE = 500
_AT = bindparam("at", type_=UtcDateTime)


def note(database: Transactions, uses: Mapping[str, datetime]) -> None:
    """Note the instants by ids of API keys or admin keys; a later one that is there stays.

    Raises TenantsDatabaseError; what was noted until then stays, and noting it again is harmless.
    """
    left = iter(sorted(uses.items()))
    while some := [{"key": id, "at": at} for id, at in islice(left, _AT_ONCE)]:
        with database.changing() as change:
            for kind in (ApiKey, AdminKey):
                is_news = or_(kind.last_used_at.is_(None), kind.last_used_at < _AT)
                noted = update(kind).where(kind.id == bindparam("key"), is_news).values(last_used_at=_AT)
                change.connection.execute(noted, some)
