"""Makes the state in this folder with the code of the version before: see README.md beside it.

Belongs here: what that version is made to write, through its own modules.
Does not: the servers that it writes to (servers.py), reading it with this version (../test_old_state.py).
"""

from __future__ import annotations

import json
import os
import random
import sys
import tarfile
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(Path.cwd())]  # fake_ray, and the version before

import dagster as dg  # noqa: E402
from fake_ray import FakeRay  # noqa: E402
from servers import repositories, s3  # noqa: E402
from slipway.artifacts.node_cache import NodeCache  # noqa: E402
from slipway.check import check_catalog  # noqa: E402
from slipway.gateway.route_follower import RouteFollower  # noqa: E402
from slipway.gateway.shipper import Shipper  # noqa: E402
from slipway.gateway.spool import Spool  # noqa: E402
from slipway.images.record import ImageRecord, ImageRecords  # noqa: E402
from slipway.samples import INTERVAL_S, Instant, Sample  # noqa: E402
from slipway.usage import UsageEvent  # noqa: E402

from pipelines.definitions import build_definitions  # noqa: E402
from resources.all import resources  # noqa: E402
from sensors.catalog_drift import catalog_drift  # noqa: E402
from slipway import known_weights  # noqa: E402
from slipway.catalog import Model  # noqa: E402
from slipway.environment import Environment, S3Location  # noqa: E402
from slipway.metering import prices, publish, queries, replicas, rollup  # noqa: E402
from slipway.metering.price_table import sync_prices  # noqa: E402
from slipway.metering.published import PublishedCopy  # noqa: E402
from slipway.metering.warehouse import Warehouse  # noqa: E402
from slipway.objectstore import ObjectStore  # noqa: E402
from slipway.stack import embedded  # noqa: E402
from slipway.stack.layout import Layout  # noqa: E402
from slipway.stack.standin_hub import StandinHub  # noqa: E402
from slipway.stack.state import StackState, write_env, write_state  # noqa: E402
from slipway.tenants import TenantsDatabase  # noqa: E402

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NEXT = HOUR + timedelta(hours=1)
NOW = NEXT + timedelta(minutes=40)  # the second hour is open
CHANCE = random.Random(20260310)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, s3(Path(scratch)) as location, FakeRay() as ray:
        home = Path(scratch) / "home"
        home.mkdir()
        with StandinHub(repositories(Path(scratch))) as hub:
            said = make(home, location, ray, hub.url)
        store = ObjectStore(location)
        for item in list(store.list("")):
            path = HERE / "objects" / item.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.get(item.key) or b"")
        with tarfile.open(HERE / "home.tar.xz", "w:xz", preset=9) as archive:
            archive.add(home, ".", filter=without_locks)
        (HERE / "said.json").write_text(json.dumps(said, indent=1, sort_keys=True, default=str) + "\n")


def make(home: Path, location: S3Location, ray: FakeRay, hub_url: str) -> dict[str, Any]:
    """Everything, and what that version says of it."""
    store = ObjectStore(location)
    store.ensure_bucket()
    stack(home)
    variables = {
        "SLIPWAY_HOME": str(home),
        "SLIPWAY_HUB_URL": hub_url,
        "SLIPWAY_S3_ENDPOINT": location.endpoint_url,
        "SLIPWAY_S3_BUCKET": location.bucket,
        "SLIPWAY_S3_ACCESS_KEY": location.access_key,
        "SLIPWAY_S3_SECRET_KEY": location.secret_key,
        "SLIPWAY_RAY_DASHBOARD_URL": ray.url,
        "SLIPWAY_RAY_SERVE_URL": ray.url,
        # stack.env names them elsewhere, and a gateway that does not run.
        "SLIPWAY_TENANTS_DB": f"sqlite:///{home / 'tenants.db'}",
        "SLIPWAY_WAREHOUSE": str(home / "warehouse"),
        "SLIPWAY_NODE_CACHE": str(home / "node-cache"),
        "SLIPWAY_GATEWAY_URLS": "",
    }
    os.environ.update(variables)
    keys = tenants()
    deployed = deploy(home, variables)
    mirrored(store)
    follower = RouteFollower(store, home / "gateway" / "spool" / "routes.cached.json")
    (home / "gateway" / "spool").mkdir(parents=True)
    follower.poll()
    ship(home, store, keys)
    return {
        "keys": keys,
        **deployed,
        "routes": [each.model_dump(mode="json") for each in follower.table.routes],
        **metered(home, store),
        "applications": list(ray.applications.values()),
        "unshipped": unshipped(home, keys),
        "cached_weights": cached(home, store),
    }


def stack(home: Path) -> None:
    """What `slipway up` remembers; its ports lead nowhere."""
    layout, plan = Layout.of(home), embedded.embedded(HERE / "catalog")
    ports = {name: 20_000 + n for n, name in enumerate(plan.port_names)}
    write_state(layout, StackState(layout.home, ports))
    variables = plan.variables(Layout(Path("/srv/slipway")), ports, {})
    write_env(layout.env_file, {**variables, "SLIPWAY_CATALOG": "/srv/catalog"})


def tenants() -> dict[str, dict[str, str]]:
    """Two organisations, three keys, one of them revoked; secrets that open nothing."""
    database = TenantsDatabase(Environment.load().tenants_db_url)
    database.migrate()
    database.sync_orgs(["acme", "globex"])
    made = {}
    for name, org, user in (("ana", "acme", "ana"), ("bob", "globex", "bob"), ("gone", "acme", "ana")):
        database.add_user(org, user)
        key = database.create_key(org, user, name)
        made[name] = {"id": key.id, "secret": key.secret, "org": org, "user": user}
    database.revoke_key(made["gone"]["id"])
    database.close()
    return made


def deploy(home: Path, variables: dict[str, str]) -> dict[str, Any]:
    """The catalog's deploy job, an hour of the rollup job, and the drift sensor before and after."""
    catalog_dir = HERE / "catalog"
    catalog = check_catalog(catalog_dir).catalog
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    definitions = build_definitions(catalog_dir, resources(variables))
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        sensor = catalog_drift(catalog_dir, catalog, "deploy")

        def tick(cursor: str | None) -> Any:
            given = resources(variables)
            with dg.build_sensor_context(
                instance=instance, resources=given, sensor_name="catalog_drift", cursor=cursor
            ) as context:
                return sensor(context)

        before = tick(None)
        wanted = [
            key for key in definitions.resolve_asset_graph().get_all_asset_keys()
            if key.path[0] in ("weights", "rollout", "endpoint", "gateway", "tenants", "billing")
        ]  # fmt: skip
        done = definitions.resolve_job_def("deploy").execute_in_process(
            instance=instance, asset_selection=wanted
        )
        assert done.success
        done = definitions.resolve_job_def("rollup").execute_in_process(
            instance=instance, partition_key=f"{HOUR:%Y-%m-%d-%H:00}"
        )
        assert done.success
        return {"cursor": before.cursor, "tick": str(tick(before.cursor).skip_reason.skip_message)}


def mirrored(store: ObjectStore) -> None:
    """The record of an image, as mirroring writes it."""
    digest = f"sha256:{'ab' * 32}"
    at = datetime(2026, 3, 1, tzinfo=UTC)
    ImageRecords(store).put(
        ImageRecord(
            engine="vllm", accelerator="nvidia",
            source="docker.io/vllm/vllm-openai", source_tags=("v0.10.0",),
            digest=digest, platforms={"linux/amd64": f"sha256:{'cd' * 32}"}, whole=True,
            registry="registry.test:5000", repository="slipway/vllm/vllm-openai",
            manifests=(digest, f"sha256:{'cd' * 32}"), tags=("v0.10.0",), blobs={f"sha256:{'ef' * 32}": 7},
            licence="Apache-2.0", created_at=at, resolved_at=at,
        )
    )  # fmt: skip


def event(at: datetime, keys: dict[str, dict[str, str]], user: str, **changes: Any) -> UsageEvent:
    """One request at an instant."""
    milliseconds = round(at.timestamp() * 1000)
    number = (milliseconds << 80) | (7 << 76) | (CHANCE.getrandbits(12) << 64) | (2 << 62)
    digits = f"{number | CHANCE.getrandbits(62):032x}"
    fields: dict[str, Any] = {
        "request_id": "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])),
        "ts": at.isoformat(timespec="milliseconds"), "org": keys[user]["org"], "user": user,
        "api_key": keys[user]["id"], "model": "assistant", "deployment": "assistant", "replica": "gateway-0",
        "task": "text-generation", "stream": True, "input_tokens": CHANCE.randrange(50, 500),
        "cached_tokens": 20, "output_tokens": CHANCE.randrange(1, 90), "status": "success",
        "error_type": None, "ttft_us": 50_000, "duration_us": 250_000, "max_gap_us": 30_000,
        "cold_start": False, "attempt": 1,
    }  # fmt: skip
    return UsageEvent(**{**fields, **changes})


def ship(home: Path, store: ObjectStore, keys: dict[str, dict[str, str]]) -> None:
    """Requests of both hours, through the gateway's spool; prices change in the middle of the first."""
    spool = Spool(home / "gateway" / "spool", "gateway-0")
    for n in range(40):
        at = HOUR + timedelta(minutes=2 * n + 1)
        changes = {"model": "formal", "deployment": "chat"} if n % 4 == 0 else {}
        user = "ana" if changes or n % 3 else "bob"
        status = "cancelled" if n % 7 == 6 else "success"
        sent = event(at, keys, user, status=status, **changes)
        spool.append(sent.encode())
        if n == 5:
            spool.append(sent.encode())  # a copy, counted once
    Shipper(spool, store).ship()
    spool.close()


def unshipped(home: Path, keys: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """Requests that the store has not yet: of a closed hour and of the open one."""
    spool = Spool(home / "gateway" / "spool", "gateway-0")
    late = [event(HOUR + timedelta(minutes=59), keys, "bob"), event(NOW, keys, "ana")]
    for each in late:
        spool.append(each.encode())
    spool.close()
    return [asdict(each) for each in late]


def metered(home: Path, store: ObjectStore) -> dict[str, Any]:
    """Prices, both hours rolled up while the second is open, samples, the published copy; what they say."""
    warehouse = Warehouse(home / "warehouse")
    schedules = prices.schedules(check_catalog(HERE / "catalog").catalog)
    sync_prices(warehouse, schedules, now=NOW)
    for minute in range(60):
        rows = (Sample("chat", "a" * 64, 2, 1.0, "h100"), Sample("assistant", "b" * 64, 1, 0.0, None))
        instant = Instant(HOUR + timedelta(minutes=minute), INTERVAL_S, rows)
        if minute % 6 == 0:
            store.put(instant.key, instant.encode(), content_type="application/json")
    done = rollup.roll_up(store, warehouse, [HOUR, NEXT], run_id="before", now=NOW, books=[])
    replicas.roll_up(store, warehouse, [HOUR])
    publish.publish(warehouse, store, [HOUR, NEXT])
    with warehouse.writing() as connection:
        cursor = connection.execute("FROM replicas_hourly ORDER BY ALL")
        names = [column[0] for column in cursor.description or ()]
        ran = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    copy = PublishedCopy(warehouse.directory)
    end = NEXT + timedelta(hours=1)
    return {
        "final": [each.final for each in done],
        "bills": [asdict(each) for each in queries.bills(copy, HOUR, end)],
        "bill_lines": [asdict(each) for each in queries.bill_lines(copy, HOUR, end)],
        "prices": [asdict(each) for each in queries.prices(copy)],
        "replicas_hourly": [{name: str(value) for name, value in row.items()} for row in ran],
    }


def cached(home: Path, store: ObjectStore) -> str:
    """A node's verified copy of the model, and what `slipway plan` keeps of weights; the model's prefix."""
    (manifest,) = (each.key for each in store.list("weights/tiny/") if each.key.endswith("manifest.json"))
    prefix = manifest.removesuffix("manifest.json")
    NodeCache(store, home / "node-cache", 2**30).fetch(prefix)
    known = known_weights.KnownWeights(1234, {"model_type": "tiny"})
    known_weights.keep(home, Model(name="big", source=f"hf://org/big@{'1' * 40}"), known)
    return prefix


def without_locks(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Neither locks nor logs of steps, and nobody's name."""
    if entry.name.endswith((".lock", "/lock")) or "/.locks" in entry.name or "/storage/" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main()
