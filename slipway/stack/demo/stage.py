"""What every demo does on a running stack: wait for runs, give tenants keys, ship usage and roll it up.

Belongs here: steps that are announced and timed, and how each is brought about through public faces.
Does not: what one demo shows (story.py, tasks.py), judging it (claims.py, tasks_claims.py).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.route_store import RouteStore
from slipway.stack.demo.dagster_api import DagsterApi, Run
from slipway.stack.demo.traffic import Client, Seen, until
from slipway.tenants import TenantsDatabase

SENSOR_TAG = "dagster/sensor_name"
DEPLOY_TIMEOUT_S = 240


@dataclass
class Told:
    """What is seen on the way of any demo."""

    seconds: dict[str, float] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    models_listed: dict[str, list[str]] = field(default_factory=dict)
    rollup: Run | None = None
    hours: tuple[datetime, ...] = ()


class Stage:
    """A running stack, and the steps that demos share; each leaves facts in `told` and checks nothing."""

    def __init__(self, environment: Environment, told: Told, say: Callable[[str], None]) -> None:
        self.told = told
        self.environment = environment
        self.dagster = DagsterApi(environment.require("SLIPWAY_DAGSTER_URL"))
        self.store = ObjectStore(environment.s3)
        self._say = say
        self._began = datetime.now(UTC)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Announce a step and take its time."""
        self._say(f"\n== {what}")
        began = time.monotonic()
        yield
        self.told.seconds[name] = round(time.monotonic() - began, 1)
        self._say(f"   {self.told.seconds[name]} s")

    def deploy_all(self, deployments: Iterable[str], what: str, timeout_s: float = DEPLOY_TIMEOUT_S) -> None:
        """The drift sensor notices that nothing serves yet, and deploys everything in one run."""
        wanted = set(deployments)
        with self.step("deploy", what):
            run = self.await_sensor_run(known=frozenset())
            self.require_success(self.dagster.wait(run.id, timeout_s=timeout_s, on_step=self.detail))
            until(lambda: wanted <= self.routed().keys(), f"{', '.join(sorted(wanted))} in the routes", 60)

    def tenants_of(self, orgs: Iterable[str]) -> None:
        """A user and an API key for each organisation; secrets never leave this process."""
        database = TenantsDatabase(self.environment.tenants_db_url)
        url = self.environment.gateway_urls[0]
        for org in orgs:
            database.add_user(org, "demo")
            secret = database.create_key(org, "demo", "demo").secret
            self.told.clients[org] = Client(org, url, secret)
        database.close()
        for org, client in self.told.clients.items():
            until(partial(_accepted, client), f"the key of {org} to work", 10)
            self.told.models_listed[org] = client.models()

    def bill(self) -> None:
        """Usage is shipped, and one run rolls up the hours of the demo."""
        with self.step("rollup", "From usage events to latency, usage and cost"):
            for url in self.environment.gateway_urls:
                self._say(f"   shipped {_post(f'{url}/-/ship', self.environment.gateway_token)}")
            first, last = (_hour(instant) for instant in (self._began, datetime.now(UTC)))
            self.told.hours = (first, last)
            tags = {
                "dagster/asset_partition_range_start": first.strftime("%Y-%m-%d-%H:%M"),
                "dagster/asset_partition_range_end": last.strftime("%Y-%m-%d-%H:%M"),
            }
            assets = [
                ("usage", "requests"),
                ("metering", "latency_hourly"),
                ("metering", "usage_hourly"),
                ("metering", "cost_hourly"),
            ]
            run_id = self.dagster.launch("rollup", assets, tags)
            self.told.rollup = self.dagster.wait(run_id, on_step=self.detail)
            self.require_success(self.told.rollup)

    def await_sensor_run(self, known: frozenset[str], touching: str | None = None) -> Run:
        """The sensor's next run, or the next that touches an asset."""

        def find() -> Run | None:
            for run in self.dagster.runs():
                is_new = run.id not in known and run.tags.get(SENSOR_TAG) == "catalog_drift"
                if is_new and (touching is None or touching in run.assets):
                    return run
            return None

        run: Run = until(find, "the catalog-drift sensor's run", 90)
        self._say(f"   run {run.id[:8]}: {run.tags.get('slipway/reason', '')}")
        return run

    def run_ids(self) -> frozenset[str]:
        """Runs that there are."""
        return frozenset(run.id for run in self.dagster.runs())

    def routed(self) -> dict[str, str]:
        """Spec digest that each deployment's traffic goes to."""
        _, table = RouteStore(self.store).latest()
        return {route.deployment: route.revision for route in table.routes}

    def require_success(self, run: Run) -> None:
        """Raise RuntimeError for a run that ended otherwise."""
        if run.status != "SUCCESS":
            raise RuntimeError(f"run {run.id} ended {run.status}. Open it: {self.dagster.url}/runs/{run.id}")

    def detail(self, line: str) -> None:
        """Print what a run says."""
        for detail in line.splitlines()[:3]:
            self._say(f"   | {detail[:150]}")

    def show(self, seen: Seen) -> None:
        """Print a request."""
        answer = seen.text.strip().replace("\n", " ")[:60] or seen.error[:100]
        self._say(f"   {seen.org:8} {seen.model:15} {seen.status}  {answer}")


def _accepted(client: Client) -> bool:
    """Whether the gateway knows the key yet: it follows the tenants' database within a second."""
    from openai import AuthenticationError

    try:
        client.models()
    except AuthenticationError:
        return False
    return True


def _hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def _post(url: str, token: str) -> str:
    request = urllib.request.Request(  # noqa: S310 - the URL is our own gateway's
        url, data=b"", headers={"authorization": f"Bearer {token}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        return json.dumps(json.load(reply))
