"""What the demo does, step by step; each step leaves facts in the record and checks nothing.

Belongs here: the order of events and how each is brought about through public faces.
Does not: judging (claims.py), counting and showing (summary.py, report.py).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import RouteStore
from slipway.stack.demo import edits
from slipway.stack.demo.dagster_api import DagsterApi, Run
from slipway.stack.demo.traffic import QUESTIONS, Client, Seen, steady_flow, until
from slipway.tenants import TenantsDatabase

CHAT, ADAPTER, ASSISTANT = "chat", "smollm2-formal", "assistant"
SENSOR_TAG = "dagster/sensor_name"
DEPLOY_TIMEOUT_S = 240


@dataclass
class Record:
    """Everything that was seen on the way."""

    seconds: dict[str, float] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    models_listed: dict[str, list[str]] = field(default_factory=dict)
    unknown_model: Seen | None = None
    first_digests: dict[str, str] = field(default_factory=dict)
    redeploy: Run | None = None
    redeployed_digest: str = ""
    redeploy_flow: list[Seen] = field(default_factory=list)
    rollback: Run | None = None
    bad_digest: str = ""
    serving_digest: str = ""
    rollback_flow: list[Seen] = field(default_factory=list)
    rollup: Run | None = None
    hours: tuple[datetime, ...] = ()


class Story:
    """One run of the demo against a running stack."""

    def __init__(self, environment: Environment, catalog_dir: Path, say: Callable[[str], None]) -> None:
        self.record = Record()
        self.environment = environment
        self.catalog_dir = catalog_dir
        self.dagster = DagsterApi(environment.require("SLIPWAY_DAGSTER_URL"))
        self.store = ObjectStore(environment.s3)
        self.revisions = RevisionStore(self.store)
        self._say = say
        self._began = datetime.now(UTC)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Announce a step and take its time."""
        self._say(f"\n== {what}")
        began = time.monotonic()
        yield
        self.record.seconds[name] = round(time.monotonic() - began, 1)
        self._say(f"   {self.record.seconds[name]} s")

    def deploy(self) -> None:
        """The drift sensor notices that nothing serves yet, and deploys everything in one run."""
        with self.step("deploy", "The sensor sees an empty data plane and deploys the catalog"):
            run = self._await_sensor_run(known=frozenset())
            self._require_success(self.dagster.wait(run.id, timeout_s=DEPLOY_TIMEOUT_S, on_step=self._detail))
            until(lambda: {CHAT, ASSISTANT} <= self._routed().keys(), "both deployments in the routes", 60)
            self.record.first_digests = self._routed()

    def tenants(self) -> None:
        """A user and an API key for each organisation; secrets never leave this process."""
        database = TenantsDatabase(self.environment.tenants_db_url)
        url = self.environment.gateway_urls[0]
        for org in ("acme", "globex", "initech"):
            database.add_user(org, "demo")
            secret = database.create_key(org, "demo", "demo").secret
            self.record.clients[org] = Client(org, url, secret)
        database.close()
        for org, client in self.record.clients.items():
            until(partial(_accepted, client), f"the key of {org} to work", 10)
            self.record.models_listed[org] = client.models()

    def traffic(self) -> None:
        """Three tenants: one streams, one meets its limits, one must learn nothing."""
        with self.step("traffic", "Traffic of three tenants with the openai SDK"):
            acme, globex, initech = (self.record.clients[org] for org in ("acme", "globex", "initech"))
            for n, question in enumerate(QUESTIONS * 2):
                self._show(acme.chat(CHAT, question, stream=n % 3 != 2))
            for question in QUESTIONS[:3]:
                self._show(acme.chat(ADAPTER, question, stream=True))
            self._show(acme.complete(CHAT, "Bees make"))
            self._limits(globex)
            self._show(initech.chat(CHAT, "Are you there?", stream=False))
            self.record.unknown_model = initech.chat("no-such-model", "Are you there?", stream=False)

    def _limits(self, globex: Client) -> None:
        """Tokens first: one request asks for more than a minute may have. Then requests, to the limit."""
        for question in QUESTIONS:
            self._show(globex.chat(ASSISTANT, question * 4, stream=True, max_tokens=8))
        self._show(globex.chat(ASSISTANT, QUESTIONS[0], stream=False, max_tokens=2000))
        for n in range(40):
            seen = globex.chat(ASSISTANT, QUESTIONS[n % 2], stream=False, max_tokens=1)
            if seen.status != 200:
                self._show(seen)
                return

    def edit(self) -> None:
        """An engine argument and a price change on disk; requests go on while the sensor redeploys."""
        acme = self.record.clients["acme"]
        with self.step("redeploy", "An edit of the catalog: a longer context, and a new price from now on"):
            known = self._run_ids()
            price_from = edits.new_price(self.catalog_dir, datetime.now(UTC) + timedelta(seconds=2))
            edits.set_args(self.catalog_dir, CHAT, "--ctx-size=2048", "--ctx-size=3072")
            # No request may straddle the new price: its instant lies between two phases of traffic.
            clear = price_from + timedelta(seconds=0.5)
            until(lambda: datetime.now(UTC) > clear, "the new price to be in force", 10, poll_s=0.1)
            with steady_flow(acme, (CHAT, ADAPTER)) as flow:
                run = self._await_sensor_run(known, touching=f"rollout/{CHAT}")
                self.record.redeploy = self.dagster.wait(
                    run.id, timeout_s=DEPLOY_TIMEOUT_S, on_step=self._detail
                )
                self._require_success(self.record.redeploy)
                self.record.redeployed_digest = until(self._changed_digest, "the new revision's route", 30)
                until(lambda: len(flow) > 5, "a few requests", 30)
                time.sleep(2)
            self.record.redeploy_flow = flow
            self._say(f"   {len(flow)} requests meanwhile, {sum(each.status != 200 for each in flow)} failed")

    def bad_edit(self) -> None:
        """An argument that the engine dies of: refused at start, and what serves stays."""
        acme = self.record.clients["acme"]
        with self.step("rollback", "A bad edit: an engine argument that does not exist"):
            known = self._run_ids()
            edits.set_args(self.catalog_dir, CHAT, "--ctx-size=3072", "--no-such-argument=1")
            with steady_flow(acme, (CHAT,)) as flow:
                run = self._await_sensor_run(known, touching=f"rollout/{CHAT}")
                self.record.rollback = self.dagster.wait(
                    run.id, timeout_s=DEPLOY_TIMEOUT_S, on_step=self._detail
                )
            self.record.rollback_flow = flow
            edits.set_args(self.catalog_dir, CHAT, "--no-such-argument=1", "--ctx-size=3072")
            failed = [revision for revision in self.revisions.all(CHAT) if revision.state == "failed"]
            self.record.bad_digest = failed[0].spec_digest if failed else ""
            self.record.serving_digest = self._routed().get(CHAT, "")
            self._say(f"   the run ended {self.record.rollback.status}; {len(flow)} requests meanwhile")

    def bill(self) -> None:
        """Usage is shipped, and one run rolls up the hours of the demo."""
        with self.step("rollup", "From usage events to latency, usage and cost"):
            for url in self.environment.gateway_urls:
                self._say(f"   shipped {_post(f'{url}/-/ship', self.environment.gateway_token)}")
            first, last = (_hour(instant) for instant in (self._began, datetime.now(UTC)))
            self.record.hours = (first, last)
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
            self.record.rollup = self.dagster.wait(run_id, on_step=self._detail)
            self._require_success(self.record.rollup)

    def _await_sensor_run(self, known: frozenset[str], touching: str | None = None) -> Run:
        def find() -> Run | None:
            for run in self.dagster.runs():
                is_new = run.id not in known and run.tags.get(SENSOR_TAG) == "catalog_drift"
                if is_new and (touching is None or touching in run.assets):
                    return run
            return None

        run: Run = until(find, "the catalog-drift sensor's run", 90)
        self._say(f"   run {run.id[:8]}: {run.tags.get('slipway/reason', '')}")
        return run

    def _run_ids(self) -> frozenset[str]:
        return frozenset(run.id for run in self.dagster.runs())

    def _routed(self) -> dict[str, str]:
        _, table = RouteStore(self.store).latest()
        return {route.deployment: route.revision for route in table.routes}

    def _changed_digest(self) -> str:
        digest = self._routed().get(CHAT, "")
        return digest if digest != self.record.first_digests[CHAT] else ""

    def _require_success(self, run: Run) -> None:
        if run.status != "SUCCESS":
            raise RuntimeError(f"run {run.id} ended {run.status}. Open it: {self.dagster.url}/runs/{run.id}")

    def _detail(self, line: str) -> None:
        for detail in line.splitlines()[:3]:
            self._say(f"   | {detail[:150]}")

    def _show(self, seen: Seen) -> None:
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
