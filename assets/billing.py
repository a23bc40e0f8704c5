"""Invoices: monthly partitions, each made by closing its month.

Belongs here: partitions, what is shown of a month. Does not: the steps (slipway.control.billing).

No schedule launches it: a closing cannot be undone, so that a person or an automation of theirs asks for it.
"""

import dagster as dg

from assets import failures, keys
from assets.declared import Declared, declared
from assets.partitions import MONTHLY
from resources.billing import BillingResource


def invoice_assets() -> list[Declared]:
    """The invoices of each month, one per organisation and currency."""
    return [_invoice()]


def _invoice() -> Declared:
    @declared(
        dg.AssetSpec(
            keys.INVOICES,
            deps=[keys.COST],
            description="What each organisation owes for a month. Making it closes the month, for good.",
            kinds={"duckdb"},
            partitions_def=MONTHLY,
        )
    )
    def invoice(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult[None]:
        for month in sorted(context.partition_keys):
            with failures.explained():
                closed = billing.close(month, context.run_id, context.log.info)
                delivered = billing.deliver(month, context.log.info)
            context.add_asset_metadata(
                {
                    "invoices": len(closed.invoices),
                    "closed_at": closed.record.closed_at.isoformat(),
                    "adjustments_up_to": closed.record.adjustments_up_to,
                    "delivered": delivered,
                    **{f"total_minor_{currency}": total for currency, total in closed.totals.items()},
                },
                asset_key=keys.INVOICES,
                partition_key=month,
            )
        return dg.MaterializeResult(asset_key=keys.INVOICES)

    return invoice
