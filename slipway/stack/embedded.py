"""The embedded stack: SeaweedFS, the stand-in hub, Ray, the gateway and Dagster on loopback.

Belongs here: which servers, with which settings, in which dependency.
Does not: starting them (supervisor.py), how each reports its health (health.py), where Ray keeps its files
(ray_directory.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

import slipway
from slipway.environment import S3Location
from slipway.stack import ray_directory, ray_head, seaweedfs
from slipway.stack.blueprint import Blueprint, Ports, Variables
from slipway.stack.cut_off_runs import end_cut_off_runs
from slipway.stack.errors import StackError
from slipway.stack.health import dagster_trouble, http_trouble, ray_trouble
from slipway.stack.layout import Layout
from slipway.stack.ray_head import RayPorts
from slipway.stack.seaweedfs import SeaweedPorts
from slipway.stack.service import Part, Service

_SEAWEED_PORTS = tuple(field.name for field in fields(SeaweedPorts))
_RAY_PORTS = tuple(f"ray_{field.name}" for field in fields(RayPorts))
PORT_NAMES = (
    *_SEAWEED_PORTS,
    "hub",
    "hub_cdn",
    *_RAY_PORTS,
    "ray_client",
    "ray_serve",
    "gateway",
    "gateway_metrics",
    "dagster",
)
BUCKET, REGION = "slipway", "us-east-1"


def embedded(catalog: Path, root: Path | None = None) -> Blueprint:
    """The stack for one catalog. `root` holds dagster.yaml and workspace.yaml; by default our checkout."""
    return Blueprint(
        port_names=PORT_NAMES,
        variables=partial(_variables, catalog.expanduser().absolute()),
        services=partial(_services, root or Path(slipway.__file__).parents[1]),
    )


def _variables(catalog: Path, layout: Layout, ports: Ports, existing: Variables) -> dict[str, str]:
    def secret(name: str) -> str:
        return existing.get(name) or secrets.token_hex(24)

    def url(port: str) -> str:
        return f"http://127.0.0.1:{ports[port]}"

    return {
        "SLIPWAY_HOME": str(layout.home),
        "SLIPWAY_CATALOG": str(catalog),
        # The one address that a person may point elsewhere, at the real hub for instance.
        "SLIPWAY_HUB_URL": os.environ.get("SLIPWAY_HUB_URL") or url("hub"),
        "SLIPWAY_S3_ENDPOINT": url("s3"),
        "SLIPWAY_S3_BUCKET": BUCKET,
        "SLIPWAY_S3_REGION": REGION,
        "SLIPWAY_S3_ACCESS_KEY": secret("SLIPWAY_S3_ACCESS_KEY"),
        "SLIPWAY_S3_SECRET_KEY": secret("SLIPWAY_S3_SECRET_KEY"),
        "SLIPWAY_RAY_DASHBOARD_URL": url("ray_dashboard"),
        "SLIPWAY_RAY_SERVE_URL": url("ray_serve"),
        "SLIPWAY_RAY_TOKEN": secret("SLIPWAY_RAY_TOKEN"),
        "SLIPWAY_GATEWAY_URLS": url("gateway"),
        "SLIPWAY_GATEWAY_TOKEN": secret("SLIPWAY_GATEWAY_TOKEN"),
        "SLIPWAY_DAGSTER_URL": url("dagster"),
        "SLIPWAY_TENANTS_DB": f"sqlite:///{layout.tenants_db}",
        "SLIPWAY_WAREHOUSE": str(layout.warehouse),
        "SLIPWAY_NODE_CACHE": str(layout.node_cache),
    }


def _services(root: Path, layout: Layout, ports: Ports, variables: Variables) -> list[Service]:
    return [
        _s3(layout, ports, variables),
        _hub(layout, ports),
        _ray(layout, ports, variables),
        _gateway(layout, ports, variables),
        _dagster(root, layout, ports, variables),
    ]


def _location(variables: Variables) -> S3Location:
    return S3Location(
        endpoint_url=variables["SLIPWAY_S3_ENDPOINT"],
        bucket=variables["SLIPWAY_S3_BUCKET"],
        region=variables["SLIPWAY_S3_REGION"],
        access_key=variables["SLIPWAY_S3_ACCESS_KEY"],
        secret_key=variables["SLIPWAY_S3_SECRET_KEY"],
    )


def _s3(layout: Layout, ports: Ports, variables: Variables) -> Service:
    location = _location(variables)
    listens = {name: ports[name] for name in _SEAWEED_PORTS}
    return Service(
        name="s3",
        command=tuple(seaweedfs.command(layout.s3_data, layout.s3_logs, SeaweedPorts(**listens))),
        directory=layout.home,
        environment=seaweedfs.environment(location.access_key, location.secret_key),
        ports=listens,
        url=location.endpoint_url,
        prepare=_directories(layout.s3_data, layout.s3_logs),
        trouble=lambda _since: http_trouble(f"{location.endpoint_url}/healthz"),
        finish=partial(_make_bucket, location),
    )


def _make_bucket(location: S3Location, _since: float) -> None:
    from slipway.objectstore import ObjectStore

    ObjectStore(location).ensure_bucket()


def _hub(layout: Layout, ports: Ports) -> Service:
    listens = {name: ports[name] for name in ("hub", "hub_cdn")}
    return Service(
        name="hub",
        command=(
            *_module("slipway.stack.standin_hub"),
            f"--port={ports['hub']}",
            f"--cdn-port={ports['hub_cdn']}",
            f"--cache-dir={layout.hub_cache}",
        ),
        directory=layout.home,
        environment={},
        ports=listens,
        url=f"http://127.0.0.1:{ports['hub']}",
        prepare=_directories(layout.hub_cache),
        trouble=lambda _since: http_trouble(f"http://127.0.0.1:{ports['hub']}/-/health"),
    )


def _ray(layout: Layout, ports: Ports, variables: Variables) -> Service:
    token = variables["SLIPWAY_RAY_TOKEN"]
    listens = {name: ports[name] for name in (*_RAY_PORTS, "ray_client", "ray_serve")}
    command = ray_head.command(
        layout.ray_dir, RayPorts(**{name.removeprefix("ray_"): ports[name] for name in _RAY_PORTS})
    )
    return Service(
        name="ray",
        # Two stacks on one machine would share the default port of Ray's client server, which cannot be
        # turned off. The monitor is for clusters that grow by machines.
        command=(*command, f"--ray-client-server-port={ports['ray_client']}", "--no-monitor"),
        directory=layout.ray_dir,
        environment={
            **ray_head.environment(_location(variables), layout.node_cache, layout.home, token),
            # Nothing to wait for: the gateway has drained before Ray is stopped.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        },
        ports=listens,
        url=variables["SLIPWAY_RAY_DASHBOARD_URL"],
        parts=(
            Part("GCS", re.compile(r"/gcs_server ")),
            Part("raylet", re.compile(r"/raylet ")),
            Part("dashboard", re.compile(r"/dashboard/dashboard\.py ")),
        ),
        prepare=partial(_prepare_ray, layout),
        trouble=lambda _since: ray_trouble(
            dashboard_url=variables["SLIPWAY_RAY_DASHBOARD_URL"],
            agent_url=f"http://127.0.0.1:{ports['ray_dashboard_agent']}",
            serve_url=variables["SLIPWAY_RAY_SERVE_URL"],
            token=token,
        ),
        start_deadline_s=120,
        # Serve takes up to half a minute to replace a proxy that died, and a new Ray has no applications.
        patience_s=45,
    )


def _prepare_ray(layout: Layout) -> None:
    ray_directory.make(layout)
    layout.node_cache.mkdir(parents=True, exist_ok=True)


def _gateway(layout: Layout, ports: Ports, variables: Variables) -> Service:
    return Service(
        name="gateway",
        command=tuple(_module("slipway.gateway")),
        directory=layout.home,
        environment={
            **variables,
            "SLIPWAY_GATEWAY_HOST": "127.0.0.1",
            "SLIPWAY_GATEWAY_PORT": str(ports["gateway"]),
            "SLIPWAY_GATEWAY_METRICS_PORT": str(ports["gateway_metrics"]),
            "SLIPWAY_GATEWAY_SPOOL": str(layout.spool),
            "SLIPWAY_GATEWAY_REPLICA": "gateway-0",
        },
        ports={name: ports[name] for name in ("gateway", "gateway_metrics")},
        url=variables["SLIPWAY_GATEWAY_URLS"],
        after=frozenset({"s3"}),
        prepare=partial(_prepare_gateway, layout, variables["SLIPWAY_TENANTS_DB"]),
        trouble=lambda _since: http_trouble(f"{variables['SLIPWAY_GATEWAY_URLS']}/-/health"),
    )


def _prepare_gateway(layout: Layout, tenants_db: str) -> None:
    from slipway.tenants.database import TenantsDatabase

    layout.spool.mkdir(parents=True, exist_ok=True)
    TenantsDatabase(tenants_db).migrate()


def _dagster(root: Path, layout: Layout, ports: Ports, variables: Variables) -> Service:
    workspace, settings = root / "workspace.yaml", root / "dagster.yaml"
    url = f"http://127.0.0.1:{ports['dagster']}"
    return Service(
        name="dagster",
        command=(
            str(Path(sys.executable).with_name("dagster")),
            "dev",
            "--host=127.0.0.1",
            f"--port={ports['dagster']}",
            f"--workspace={workspace}",
        ),
        directory=root,
        environment={**variables, "DAGSTER_HOME": str(layout.dagster_home)},
        ports={"dagster": ports["dagster"]},
        url=url,
        parts=(
            Part("webserver", re.compile(r"-m dagster_webserver ")),
            Part("daemon", re.compile(r"-m dagster\._daemon ")),
            Part("code server", re.compile(r"-m dagster code-server start "), heals=True),
            # Its code server does not notice that it is gone (seen).
            Part("code server's worker", re.compile(r"-m dagster api grpc ")),
        ),
        prepare=partial(_prepare_dagster, layout, settings),
        trouble=partial(dagster_trouble, url),
        finish=partial(end_cut_off_runs, url),
        start_deadline_s=120,
        patience_s=20,
        settings=_digest(settings),
    )


def _prepare_dagster(layout: Layout, settings: Path) -> None:
    layout.dagster_home.mkdir(parents=True, exist_ok=True)
    layout.warehouse.mkdir(parents=True, exist_ok=True)
    # Dagster reads its settings from its home alone.
    shutil.copyfile(settings, layout.dagster_home / "dagster.yaml")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise StackError(
            f"dagster: {path} is missing. Run Slipway from its checkout (`pip install --editable .`)."
        ) from None


def _module(name: str) -> list[str]:
    # -P: the working directory must not shadow what the module imports.
    return [sys.executable, "-P", "-m", name]


def _directories(*paths: Path) -> Callable[[], None]:
    def make() -> None:
        for path in paths:
            path.mkdir(parents=True, exist_ok=True)

    return make


def base_environment(environ: Mapping[str, str], variables: Variables) -> dict[str, str]:
    """What services inherit: everything but another stack's addresses and secrets.

    `SLIPWAY_*` variables that tune a server and are not part of `stack.env` pass through.
    """
    dropped = {*variables, "RAY_ADDRESS", "DAGSTER_HOME"}
    inherited = {name: value for name, value in environ.items() if name not in dropped}
    return {**inherited, "PYTHONUNBUFFERED": "1"}
