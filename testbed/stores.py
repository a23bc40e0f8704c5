"""S3 stores, each in processes of its own: SeaweedFS, which the embedded stack runs, MinIO, Ceph, and moto.

Belongs here: starting them, and what Slipway is told of them. Does not: what is in them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from testbed import ceph, programs
from testbed.server_processes import process, wait_until_answered

LOOPBACK = "127.0.0.1"
_ACCESS_KEY, _SECRET_KEY = "testbed-key", "testbed-secret"


@contextmanager
def seaweed(root: Path, host: str = LOOPBACK) -> Iterator[S3Location]:
    """A SeaweedFS with its files in the empty `root`; the location names a bucket that does not exist."""
    for name in ("data", "log"):
        (root / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    on_loopback = seaweedfs.command(root / "data", root / "log", ports)
    command = [part.replace(LOOPBACK, host) for part in on_loopback]
    log = root / "out.log"
    with process(command, log, seaweedfs.environment(_ACCESS_KEY, _SECRET_KEY)) as started:
        url = f"http://{host}:{ports.s3}"
        wait_until_answered(f"{url}/healthz", log, by=started)
        yield _location(url)


@contextmanager
def minio(root: Path) -> Iterator[S3Location]:
    """A MinIO with its files in the folder `root`; the location names a bucket that does not exist."""
    program = programs.minio()
    api, console = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    command = [str(program.path), "server", "--quiet", "--address", api, "--console-address", console]
    account = {"MINIO_ROOT_USER": _ACCESS_KEY, "MINIO_ROOT_PASSWORD": _SECRET_KEY, "MINIO_UPDATE": "off"}
    log = root / "minio.log"
    with process([*command, str(root / "data")], log, program.environment() | account) as started:
        wait_until_answered(f"http://{api}/minio/health/ready", log, by=started)
        yield _location(f"http://{api}")


@contextmanager
def rgw(root: Path) -> Iterator[S3Location]:
    """Ceph's gateway over an OSD in memory; the location names a bucket that does not exist."""
    with ceph.gateway(root, _ACCESS_KEY, _SECRET_KEY) as url:
        yield _location(url)


@contextmanager
def moto(root: Path) -> Iterator[S3Location]:
    """A moto server, which holds all in memory; the location names a bucket that does not exist."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", LOOPBACK, "-p", str(port)]
    log = root / "moto.log"
    with process(command, log) as started:
        wait_until_answered(f"http://{LOOPBACK}:{port}/moto-api/", log, by=started)
        yield _location(f"http://{LOOPBACK}:{port}")


def with_bucket(location: S3Location, bucket: str) -> ObjectStore:
    """The store with a bucket of that name, made where there is none."""
    store = ObjectStore(replace(location, bucket=bucket))
    store.ensure_bucket()
    return store


def variables(location: S3Location) -> dict[str, str]:
    """What Slipway's environment says of it."""
    return {
        "SLIPWAY_S3_ENDPOINT": location.endpoint_url,
        "SLIPWAY_S3_BUCKET": location.bucket,
        "SLIPWAY_S3_ACCESS_KEY": location.access_key,
        "SLIPWAY_S3_SECRET_KEY": location.secret_key,
    }


def _location(url: str) -> S3Location:
    return S3Location(url, "unset", "us-east-1", _ACCESS_KEY, _SECRET_KEY)
