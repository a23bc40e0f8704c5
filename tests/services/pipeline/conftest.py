"""The whole embedded stack, once for a module: its sensor deploys the demo catalog by itself."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.route_store import RouteStore
from slipway.stack import supervisor
from slipway.stack.demo.dagster_api import DagsterApi
from slipway.stack.demo.traffic import Client, until
from slipway.tenants import TenantsDatabase

REPOSITORY = Path(__file__).parents[3]
# A free machine needs seconds, one that runs other tests minutes; nothing waits as long when all is well.
PATIENCE_S = 300


@dataclass(frozen=True)
class RunningStack:
    """A stack with its home and catalog, and the faces that a person would use."""

    home: Path
    catalog: Path
    environment: Environment
    dagster: DagsterApi
    store: ObjectStore

    def up(self) -> None:
        """What `make up` does."""
        supervisor.up(self.home, catalog=self.catalog, progress=print)

    def routed(self) -> dict[str, str]:
        """Spec digest of each deployment in the route table."""
        return {route.deployment: route.revision for route in RouteStore(self.store).latest().table.routes}

    def client(self, org: str) -> Client:
        """A client of an organisation with a key of its own, once the gateway knows it."""
        database = TenantsDatabase(self.environment.tenants_db_url)
        database.add_user(org, "test")
        client = Client(
            org, self.environment.gateway_urls[0], database.create_key(org, "test", "test").secret
        )
        database.close()
        until(
            lambda: client.chat("no-such-model", "?", stream=False).status == 404,
            "the key to work",
            PATIENCE_S,
        )
        client.seen.clear()
        return client


def _be_patient(path: Path) -> None:
    """Give rollouts the time of a busy machine; the demo's own is that of a free one."""
    text = path.read_text()
    validation = f"validation: {{ttft_bound_ms: {1_000 * PATIENCE_S}}}}}"
    for free, busy in (
        ("deadline_s: 120", f"deadline_s: {PATIENCE_S}"),
        ("validation: {ttft_bound_ms: 10000}}", validation),
        ("drain_s: 60}", f"drain_s: 60, {validation}"),
    ):
        assert free in text
        text = text.replace(free, busy)
    path.write_text(text)


@pytest.fixture(scope="module")  # it costs CPU even when idle
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    root = tmp_path_factory.mktemp("stack")
    home, catalog = root / "home", root / "catalog"
    shutil.copytree(REPOSITORY / "catalog", catalog)
    _be_patient(catalog / "deployments.yaml")
    try:
        supervisor.up(home, catalog=catalog, progress=print)
        environment = Environment.load({"SLIPWAY_HOME": str(home)})
        running = RunningStack(
            home,
            catalog,
            environment,
            DagsterApi(environment.require("SLIPWAY_DAGSTER_URL")),
            ObjectStore(environment.s3),
        )
        until(lambda: {"chat", "assistant"} <= running.routed().keys(), "the first deployment", PATIENCE_S)
        yield running
    finally:
        supervisor.down(home, progress=print)
