"""The catalog itself as an asset: where the UI shows in red that it has errors.

Belongs here: the asset, its check, and what both say.
Does not: finding errors (slipway.control.check), looking after each edit (sensors.catalog_drift reports the
same check).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets import keys
from assets.declared import Declared, declared
from resources.environment import EnvironmentResource
from slipway.catalog import Catalog
from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog

HAS_NO_ERRORS = "has_no_errors"
_MOST_SHOWN = 100


def catalog_assets(_catalog: Catalog) -> list[Declared]:
    """The one asset; there is a catalog also where it has errors."""
    return [_documents()]


def _documents() -> Declared:
    @declared(
        dg.AssetSpec(
            keys.CATALOG,
            description=(
                "The catalog's documents. While the check is red, nothing is deployed or changed; what "
                "serves goes on serving. Materializing it checks the catalog now."
            ),
            kinds={"yaml"},
        ),
        checks=[
            dg.AssetCheckSpec(
                HAS_NO_ERRORS, asset=keys.CATALOG, description="What `slipway check` says of the catalog."
            )
        ],
    )
    def catalog_documents(
        environment: EnvironmentResource,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        problems: list[str] = []
        try:
            check_catalog(environment.read().catalog_dir)
        except CatalogError as error:
            problems = [str(each) for each in error.problems]
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(check_name=HAS_NO_ERRORS, **_told(problems))

    return catalog_documents


def evaluation(problems: Sequence[str]) -> dg.AssetCheckEvaluation:
    """The check as an event of its own, for who has looked already: red where there are problems."""
    return dg.AssetCheckEvaluation(asset_key=keys.CATALOG, check_name=HAS_NO_ERRORS, **_told(problems))


def _told(problems: Sequence[str]) -> dict[str, Any]:
    shown = [f"- `{problem}`" for problem in problems[:_MOST_SHOWN]]
    more = [f"- and {len(problems) - _MOST_SHOWN} more"] if len(problems) > _MOST_SHOWN else []
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    metadata: dict[str, Any] = {"errors": len(problems)}
    if problems:
        metadata["problems"] = dg.MetadataValue.md("\n".join([*shown, *more]))
    return {
        "passed": not problems,
        "severity": dg.AssetCheckSeverity.ERROR,
        "description": f"{count}; the first: {problems[0]}" if problems else "no errors",
        "metadata": metadata,
    }
