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
    from slipway.catalog.problems import CatalogError

CATALOG = click.option(
    "--catalog",
    type=click.Path(path_type=Path),
    help="Directory of the catalog. Default: SLIPWAY_CATALOG, or ./catalog.",
)
# How commands end, besides 0: a failure, wrong usage (click's own), something that differs, an interrupt.
FAILED, WRONG_USAGE, DIFFERENT, INTERRUPTED = 1, 2, 3, 130
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document for other programs.")


def load(directory: Path | None) -> LoadedCatalog:
    """The catalog of that directory, or of the environment's; raises CatalogError with every problem."""
    from slipway.control.check import check_catalog

    return check_catalog(directory or Environment.load().catalog_dir)


def broken(directory: Path) -> CatalogError | None:
    """What is wrong with the catalog of a directory, for who goes on all the same; None where nothing is."""
    from slipway.catalog.problems import CatalogError
    from slipway.control.check import check_catalog

    try:
        check_catalog(directory)
    except CatalogError as error:
        return error
    return None


def elsewhere(home: Path) -> str:
    """What to do where there is nothing of a stack: perhaps it runs, and this is another directory."""
    from slipway.stack.processes import running_homes

    others = ", ".join(str(other) for other in running_homes() if other != home.resolve())
    runs = f"A stack of {others} runs: go to its directory" if others else "Go to the directory of the stack"
    return f"{runs}, or name its state (`slipway --home DIR`, SLIPWAY_HOME). `slipway up` starts one here."
