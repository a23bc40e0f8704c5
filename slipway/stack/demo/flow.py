"""`slipway demo [--tasks]`: starts a stack of its own, tells a story, judges it, reports, stops it.

Belongs here: the frame around a story. Does not: its steps (story.py, tasks.py) or claims (claims.py,
tasks_claims.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog.files.loader import LoadedCatalog
from slipway.environment import Environment
from slipway.metering import queries
from slipway.metering.asking import Question
from slipway.metering.periods import Period
from slipway.metering.published import PublishedCopy
from slipway.metering.reports import contents
from slipway.stack import supervisor
from slipway.stack.demo import claims, edits, report, tasks_claims, tasks_summary
from slipway.stack.demo import summary as numbers
from slipway.stack.demo.story import Story
from slipway.stack.demo.tasks import ORG, TasksStory

Say = Callable[[str], None]


@contextmanager
def _fresh_stack(home: Path, catalog_dir: Path, progress: Say) -> Iterator[tuple[Environment, Path]]:
    """A stack in an empty home on a copy of the catalog: its environment and the copy; stopped at the end."""
    supervisor.down(home, progress=lambda line: None)
    shutil.rmtree(home, ignore_errors=True)
    copy = home / "catalog"
    edits.copy_catalog(catalog_dir, copy)
    try:
        progress("== Starting the stack: S3, hub, Ray, gateway, Dagster")
        supervisor.up(home, catalog=copy, progress=lambda line: progress(f"   {line}"))
        yield Environment.load({"SLIPWAY_HOME": str(home)}), copy
    finally:
        progress("\n== Stopping the demo's stack")
        supervisor.down(home, progress=lambda line: None)


def run_demo(home: Path, catalog_dir: Path, loaded: LoadedCatalog, progress: Say) -> int:
    """Run the demo in `home`, on a copy of the catalog; returns 0 only if every claim was seen to hold."""
    with _fresh_stack(home, catalog_dir, progress) as (environment, copy):
        story = _tell(environment, copy, progress)
        held = _report(home, loaded, story, progress)
    progress(f"\nreport   {home / 'report.html'}\nsummary  {home / 'summary.json'}")
    progress(f"To look at its runs in the Dagster UI: slipway --home {home} up --catalog {copy}")
    return 0 if held else 1


def run_tasks_demo(home: Path, catalog_dir: Path, loaded: LoadedCatalog, progress: Say) -> int:
    """The same for `make demo-tasks`: every task on one Ray cluster, each billed in its unit."""
    with _fresh_stack(home, catalog_dir, progress) as (environment, copy):
        story = TasksStory(environment, progress)
        story.deploy()
        story.tenants_of((ORG,))
        story.traffic()
        story.bill()
        held = _report_tasks(home, loaded, story, progress)
    progress(f"\nsummary  {home / 'summary.json'}")
    progress(f"To look at its runs in the Dagster UI: slipway --home {home} up --catalog {copy}")
    return 0 if held else 1


def _tell(environment: Environment, catalog_dir: Path, progress: Say) -> Story:
    story = Story(environment, catalog_dir, progress)
    story.deploy()
    story.tenants()
    story.traffic()
    story.edit()
    story.bad_edit()
    story.bill()
    return story


def _report_tasks(home: Path, loaded: LoadedCatalog, story: TasksStory, progress: Say) -> bool:
    copy = PublishedCopy(story.environment.warehouse_dir, story.environment.warehouse_shards)
    first, last = story.record.hours
    lines = queries.bill_lines(copy, first, last + timedelta(hours=1), ORG)
    judged = tasks_claims.judge(story.record, lines, queries.prices(copy))
    document = tasks_summary.summary(loaded.catalog, story.record, lines)
    (home / "summary.json").write_text(json.dumps(document, indent=2) + "\n")
    progress("")
    tasks_summary.show(document, judged)
    return all(claim.held for claim in judged)


def _report(home: Path, loaded: LoadedCatalog, story: Story, progress: Say) -> bool:
    copy = PublishedCopy(story.environment.warehouse_dir, story.environment.warehouse_shards)
    first, last = story.record.hours
    until = last + timedelta(hours=1)
    bills = {bill.org: bill for bill in queries.bills(copy, first, until)}
    prices = queries.prices(copy)
    judged = claims.judge(story.record, bills, prices)
    model = loaded.catalog.models[0]
    manifest = Manifest.read(story.store, model.name, str(model.source.rsplit("@", 1)[1]))
    if manifest is None:
        raise RuntimeError(f"{model.name} has no manifest in the store, although it was served.")
    # Requests for a model that is not there belong to no deployment.
    latencies = [latency for latency in queries.latencies(copy, first, until) if latency.deployment]
    document = numbers.summary(loaded.catalog, manifest, story.record, bills, latencies, prices)
    (home / "summary.json").write_text(json.dumps(document, indent=2) + "\n")
    asked = Question(Period(first, until))
    parts = [contents.usage(copy, asked), contents.latency(copy, asked)]
    (home / "report.html").write_text(report.page(document, judged, parts, datetime.now(UTC)))
    progress("")
    numbers.show(document, judged)
    return all(claim.held for claim in judged)
