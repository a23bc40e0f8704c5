"""A small catalog and what may be there of it, for tests of what differs.

Belongs here: making a state. Does not: what is expected of one (test_differences.py).
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from slipway.catalog import Catalog, ResolvedDeployment
from slipway.catalog.resolved import resolve
from slipway.control import differences
from slipway.control.cluster_parts import Drift, Part
from slipway.control.differences import Live, Lost, Prices, Told, Untold
from slipway.control.routing import Target, table_of
from slipway.metering import prices
from slipway.records import revisions, routes
from slipway.records.price_history import PriceRow
from slipway.records.revisions import Applied, Revision
from slipway.records.routes import Route

NOW = datetime(2026, 3, 1, tzinfo=UTC)
UPSTREAM = "http://u/v1"


def catalog_of(**chat: Any) -> Catalog:
    price = {"effective_from": "2026-01-01T00:00:00Z", "input": "1", "cached_input": "1", "output": "2"}
    return Catalog.model_validate(
        {
            "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
            "engines": [{"name": "e", "server": "vllm"}],
            "deployments": [
                {"name": "chat", "model": "m", "engine": "e", "runtime": "ray", "price": "p", **chat}
            ],
            "organizations": [{"name": "acme"}],
            "price_books": [{"name": "p", "currency": "EUR", "prices": [price]}],
            "endpoints": [{"name": "public", "host": "api.example", "data_plane": "default"}],
        }
    )


CATALOG = catalog_of()


def spec(catalog: Catalog = CATALOG) -> ResolvedDeployment:
    return resolve(catalog, catalog.deployments[0], {})


def record(state: revisions.State, catalog: Catalog = CATALOG) -> Revision:
    resolved = spec(catalog)
    applied = Applied(resolved.revision_name, "chat", resolved.spec_digest, {})
    return replace(revisions.of(resolved, applied, UPSTREAM, NOW), state=state, validated_at=NOW.isoformat())


WANTED = spec().spec_digest
OLDER = catalog_of(env={"OLD": "1"})
OLD = spec(OLDER).spec_digest


def routed_to(digest: str, catalog: Catalog = CATALOG) -> tuple[Route, ...]:
    return table_of(catalog, {"chat": Target(digest, UPSTREAM)}).routes


def price_rows(catalog: Catalog = CATALOG) -> tuple[PriceRow, ...]:
    return prices.merge([], prices.schedules(catalog), NOW)


def taken(rows: tuple[PriceRow, ...]) -> Prices:
    """Rows that were taken, as the warehouse has them."""
    return Prices(rows, rows)


@dataclass(frozen=True)
class State:
    """What is there; as it stands, all is as the catalog says."""

    routes: tuple[Route, ...] = routed_to(WANTED)
    serving: dict[str, frozenset[str]] | None = field(default_factory=lambda: {"chat": frozenset({WANTED})})
    orgs: frozenset[str] | Lost | Untold | None = frozenset({"acme"})
    prices: Prices | Untold = field(default_factory=lambda: taken(price_rows()))
    parts: tuple[Drift, ...] = (Drift(Part("data_plane", "default")), Drift(Part("gateway", "public")))
    records: tuple[Revision, ...] = (record("validated"), record("validated", OLDER))
    missing: frozenset[str] = frozenset()

    def live(self) -> Live:
        by_digest = {each.spec_digest: each for each in self.records}
        return Live(
            table=routes.build(self.routes),
            serving=self.serving,
            orgs=self.orgs,
            prices=self.prices,
            parts=self.parts,
            revision=lambda _, digest: by_digest.get(digest),
            missing_weights=lambda _: self.missing,
        )

    def told(self, catalog: Catalog = CATALOG) -> dict[str, Told]:
        return differences.between(catalog, {"chat": spec(catalog)}, self.live(), NOW)
