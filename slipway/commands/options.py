"""What several commands ask for in the same way.

Belongs here: shared options, and reading the catalog that they name. Does not: commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.catalog.files.loader import LoadedCatalog

CATALOG = click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    help="Directory of the catalog. Default: SLIPWAY_CATALOG, or ./catalog.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for other programs.")


def load(directory: Path | None) -> LoadedCatalog:
    """The catalog of that directory, or of the environment's; raises CatalogError with every problem."""
    from slipway.control.check import check_catalog

    return check_catalog(directory or Environment.load().catalog_dir)
