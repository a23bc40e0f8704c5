"""The servers that the benchmarks of artifacts run against: stores, a hub, registries, each a process.

Belongs here: starting and stopping them on loopback. Does not: the work (hub_to_store.py, image_mirror.py).
`python -m bench.servers DIRECTORY` serves the directory as one repository of a stand-in hub.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from testbed import programs

_START_TIMEOUT_S = 60.0
REPOSITORY_ID = "bench/weights"
_ACCESS_KEY, _SECRET_KEY = "bench-key", "bench-secret"


@contextmanager
def seaweed(root: Path) -> Iterator[ObjectStore]:
    """A SeaweedFS with an empty bucket, its files under `root`, which goes with it."""
    with folder(root):
        for name in ("data", "log"):
            (root / name).mkdir()
        ports = seaweedfs.SeaweedPorts(*free_ports(10))
        command = seaweedfs.command(root / "data", root / "log", ports)
        environment = seaweedfs.environment(_ACCESS_KEY, _SECRET_KEY)
        with process(command, root / "seaweedfs.log", environment):
            endpoint = f"http://127.0.0.1:{ports.s3}"
            wait_for(f"{endpoint}/healthz", root / "seaweedfs.log")
            yield _with_bucket(endpoint)


@contextmanager
def minio(root: Path) -> Iterator[ObjectStore]:
    """A MinIO with an empty bucket, its files under `root`, which goes with it."""
    program = programs.minio()
    with folder(root):
        api, console = (f"127.0.0.1:{port}" for port in free_ports(2))
        command = [str(program.path), "server", "--quiet", "--address", api, "--console-address", console]
        account = {"MINIO_ROOT_USER": _ACCESS_KEY, "MINIO_ROOT_PASSWORD": _SECRET_KEY, "MINIO_UPDATE": "off"}
        with process([*command, str(root / "data")], root / "minio.log", program.environment() | account):
            wait_for(f"http://{api}/minio/health/ready", root / "minio.log")
            yield _with_bucket(f"http://{api}")


def _with_bucket(endpoint: str) -> ObjectStore:
    found = ObjectStore(S3Location(endpoint, "bench", "us-east-1", _ACCESS_KEY, _SECRET_KEY))
    found.ensure_bucket()
    return found


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """A folder that is removed at the end, so that every run finds the machine's memory alike.

    Pages that the page cache uses for the first time are much dearer on a virtual machine than those that it
    uses again, and whoever runs after gigabytes were left behind would pay for them.
    """
    path.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hub(content: Path, log: Path) -> Iterator[tuple[str, str]]:
    """(URL, commit) of a stand-in hub with the directory's files in one repository."""
    with process([sys.executable, "-m", "bench.servers", str(content)], log):
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            lines = log.read_text().splitlines()
            if lines:
                url, commit = lines[0].split()
                yield url, commit
                return
            time.sleep(0.1)
        raise TimeoutError(f"the hub did not start: see {log}")


@contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that writes to `log`; killed at the end."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            list(command), env=environment and dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def wait_for(url: str, log: Path) -> None:
    """Return when the URL answers below 500; raises TimeoutError with the end of the log."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer:\n{log.read_text()[-2000:]}")


def _serve_hub(content: Path) -> None:
    from slipway.stack.standin_hub import Repository, StandinHub

    repository = Repository(REPOSITORY_ID)
    commit = repository.commit_directory(content)
    with StandinHub([repository]) as served:
        print(served.url, commit.id, flush=True)
        time.sleep(86_400)


if __name__ == "__main__":
    _serve_hub(Path(sys.argv[1]))
