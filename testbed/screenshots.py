"""`python -m testbed.screenshots`: the pictures in docs/pictures, of two days of generated traffic.

Belongs here: rolling it up as Dagster does, making the reports, and photographing them and Dagster's plots.
Does not: the traffic (demo_traffic.py), the browser (browser.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slipway.environment import Environment
from slipway.metering.asking import Question
from slipway.metering.periods import Period
from slipway.metering.published import PublishedCopy
from slipway.metering.reports.contents import KINDS
from slipway.metering.reports.making import make
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.usage import hour_of
from slipway.stack.ports import free_ports
from testbed import demo_traffic, stores
from testbed.browser import Page, browser
from testbed.server_processes import process, wait_until_answered

REPOSITORY = Path(__file__).parents[1]
PICTURES = REPOSITORY / "docs" / "pictures"
WIDTHS = (1280, 390)
# What the UI plots, by the name of the picture.
PLOTS = {"ui-latency": "metering/latency_hourly", "ui-cost": "metering/cost_hourly"}
_HOUR = timedelta(hours=1)
_PATIENCE_S = 60.0


def main() -> int:
    """Make every picture anew."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slipway-pictures-") as directory:
        root = Path(directory)
        (root / "s3").mkdir()
        with stores.seaweed(root / "s3") as location:
            store = stores.with_bucket(location, "pictures")
            variables = {
                **stores.variables(store.location),
                "SLIPWAY_HOME": str(root),
                "SLIPWAY_CATALOG": str(REPOSITORY / "catalog"),
                "DAGSTER_HOME": str(root / "dagster"),
                "DAGSTER_DISABLE_TELEMETRY": "1",
            }
            os.environ.update(variables)
            first = hour_of(datetime.now(UTC)) - demo_traffic.HOURS * _HOUR
            copy = _roll_up(store, root, first)
            asyncio.run(_reports(copy, root, Period(first, first + demo_traffic.HOURS * _HOUR)))
            with _user_interface(root) as url:
                asyncio.run(_plots(url))
    return 0


def _roll_up(store: ObjectStore, root: Path, first: datetime) -> PublishedCopy:
    """Through the job of the code location, in one run, as a backfill does it."""
    import dagster as dg

    from assets import keys
    from assets.partitions import range_tags
    from pipelines.definitions import build_definitions

    warehouse = Warehouse(Environment.load().warehouse_dir)
    demo_traffic.write(store, warehouse, root / "spool", first)
    (root / "dagster").mkdir()
    job = build_definitions(REPOSITORY / "catalog").resolve_job_def("rollup")
    with dg.DagsterInstance.get() as instance:
        done = job.execute_in_process(
            instance=instance,
            tags=range_tags(first, first + (demo_traffic.HOURS - 1) * _HOUR),
            asset_selection=[keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST, keys.REPLICAS],
        )
        if not done.success:
            raise RuntimeError(f"the rollup ended badly: run {done.run_id}")
    return PublishedCopy(warehouse.directory)


async def _reports(copy: PublishedCopy, root: Path, period: Period) -> None:
    async with browser() as page:
        for kind in KINDS:
            path = root / f"{kind}.html"
            path.write_text(make(copy, kind, Question(period), period.end))
            for width in WIDTHS:
                for dark in (False, True):
                    await page.open(path.as_uri(), width=width, dark=dark)
                    shade = "dark" if dark else "light"
                    await page.picture(PICTURES / f"{kind}-{width}-{shade}.png", most_px=1500)


@contextmanager
def _user_interface(root: Path) -> Iterator[str]:
    """Dagster's web server over what was materialized."""
    (port,) = free_ports(1)
    url, log = f"http://127.0.0.1:{port}", root / "webserver.log"
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with process([*command, "--module-name", "pipelines.definitions"], log, environment) as started:
        wait_until_answered(f"{url}/server_info", log, by=started)
        yield url


async def _plots(url: str) -> None:
    """Of each asset's page, the part with the plots over its partitions."""
    async with browser(online=True) as page:
        for name, asset in PLOTS.items():
            await page.open(f"{url}/assets/{asset}?view=overview", width=1280, dark=False, height=1400)
            for label in ("Skip", "Plots"):  # an invitation that stands before the page, once; then the plots
                await _until(page, f"{_button(label)} !== undefined", _PATIENCE_S if label == "Plots" else 20)
                await page.evaluate(f"{_button(label)}?.click()")
            await _until(page, "document.querySelectorAll('canvas').length >= 4", _PATIENCE_S)
            await asyncio.sleep(3)  # they are drawn one after the other
            await page.picture(PICTURES / f"{name}.png", whole=False)


def _button(label: str) -> str:
    """A script that finds the button of that label."""
    return f"[...document.querySelectorAll('button')].find((each) => each.innerText.trim() === '{label}')"


async def _until(page: Page, condition: str, timeout_s: float) -> None:
    """Wait for it, and go on all the same when the time is over: the picture shows what there is."""
    for _ in range(round(timeout_s)):
        if await page.evaluate(condition):
            return
        await asyncio.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
