"""What the version before wrote its state to and pulled weights from, started with its own code for make.py.

Belongs here: its embedded store, and what its stand-in hub holds. Does not: what it writes (make.py).
"""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slipway.environment import S3Location
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import Repository


def repositories(scratch: Path) -> list[Repository]:
    """A model and an adapter of some bytes; their commits follow from their content."""
    held = []
    for name in ("tiny", "formal"):
        directory = scratch / "hub" / name
        directory.mkdir(parents=True)
        (directory / "model.gguf").write_bytes(b"GGUF" + name.encode() * 8)
        repository = Repository(f"org/{name}", licence="mit")
        repository.commit_directory(directory)
        held.append(repository)
        print(name, repository.refs["main"])
    return held


@contextmanager
def s3(scratch: Path) -> Iterator[S3Location]:
    """That version's embedded store, alone."""
    for name in ("data", "log"):
        (scratch / "s3" / name).mkdir(parents=True)
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    command = seaweedfs.command(scratch / "s3" / "data", scratch / "s3" / "log", ports)
    url = f"http://127.0.0.1:{ports.s3}"
    with (scratch / "s3" / "out.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=seaweedfs.environment("key", "secret"), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/healthz", timeout=2).close()
                break
            time.sleep(0.1)
        yield S3Location(url, "slipway", "us-east-1", "key", "secret")
    finally:
        process.kill()
        process.wait()
