"""Report assets: the pages that people open, made anew from the published copy.

Belongs here: what each depends on, and what is said of it.
Does not: what a page shows (slipway.metering.reports), how it is kept (slipway.control.reporting).
"""

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from resources.warehouse import REPORTS, WarehouseResource

_OF = {
    "latency": [keys.LATENCY],
    "usage": [keys.USAGE, keys.COST],
    "economics": [keys.COST, keys.REPLICAS],
}


def report_assets() -> list[Declared]:
    """One page for each kind of report."""
    return [_report(kind, says) for kind, says in REPORTS.items()]


def _report(kind: str, says: str) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.report(kind),
            deps=_OF[kind],
            description=f"{says} One HTML file that needs no network.",
            kinds={"html", "s3"},
        )
    )
    def page(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        with failures.explained():
            reported = warehouse.report(kind)
        return dg.MaterializeResult(metadata=metadata.of_report(reported))

    return page
