"""Reading what is there, for comparing it with a catalog: each store and cluster is asked once for all.

Belongs here: from servers to the plain values of differences.Live.
Does not: what differs (differences.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from slipway.catalog import Catalog, Deployment
from slipway.control import cluster_parts, stages, tenancy
from slipway.control.connections import Connections
from slipway.control.differences import ORGANIZATIONS, PRICES, Live, Lost, Prices, Untold
from slipway.control.tenancy import Seen
from slipway.environment import MissingSettingError
from slipway.metering import queries
from slipway.metering.warehouse import WarehouseError
from slipway.records.price_history import PriceHistory, PriceHistoryError


def live(
    at: Connections,
    catalog: Catalog,
    missing_weights: Callable[[Deployment], frozenset[str]],
    *,
    confirmed: bool = False,
) -> Live:
    """All of it. `confirmed` asks Kubernetes by dry runs of each change of what stands around deployments,
    and replicas whether they serve.

    Raises ObjectStoreError, RouteTableError and DataPlaneUnreachableError.
    """
    parts = (
        cluster_parts.drifts(at.planes, catalog, confirmed=confirmed) if cluster_parts.parts(catalog) else ()
    )
    return Live(
        table=at.routes.latest().table,
        serving=serving(at, confirmed=confirmed),
        orgs=orgs(at),
        prices=prices(at),
        parts=tuple(parts),
        revision=at.revisions.get,
        missing_weights=missing_weights,
    )


def serving(at: Connections, *, confirmed: bool = False) -> dict[str, frozenset[str]] | None:
    """Spec digests that serve, by deployment; None where the environment names no data plane.

    `confirmed` asks replicas where a plane's word may be of what ran before a restart.
    """
    with suppress(MissingSettingError):
        return stages.serving(at.planes.confirmed() if confirmed else at.planes.status())
    return None


def orgs(
    at: Connections, look: Callable[[Connections], Seen] = tenancy.look
) -> frozenset[str] | Lost | Untold | None:
    """The active organisations of the tenants' database; None when it was never set up.

    With `tenancy.note`, how far it has come is remembered. Raises ObjectStoreError.
    """
    from slipway.tenants.database import (
        TenantsDatabaseError,
    )  # SQLAlchemy, which loading definitions needs not

    try:
        seen = look(at)
    except (TenantsDatabaseError, ValueError) as error:
        return Untold("/".join(ORGANIZATIONS), error, lasting=isinstance(error, ValueError))
    return seen.orgs if seen.loss is None else Lost(seen.loss)


def prices(at: Connections) -> Prices | Untold:
    """The prices that were taken, and those of the published copy. Raises ObjectStoreError."""
    try:
        taken = PriceHistory(at.store).latest()
        table = tuple(queries.prices(at.metered)) if at.metered.path.exists() else None
    except (PriceHistoryError, WarehouseError) as error:
        return Untold("/".join(PRICES), error, lasting=isinstance(error, PriceHistoryError))
    return Prices(taken.rows if taken is not None else None, table)
