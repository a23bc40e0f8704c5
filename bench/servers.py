"""The servers that the benchmarks of artifacts run against: empty stores, and a hub in a process of its own.

Belongs here: their lives on loopback, with folders that go with them.
Does not: the servers themselves (testbed), the work (hub_to_store.py, image_mirror.py).
`python -m bench.servers DIRECTORY` serves the directory as one repository of a stand-in hub.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.objectstore import ObjectStore
from testbed import stores
from testbed.server_processes import START_DEADLINE_S, process

REPOSITORY_ID = "bench/weights"
_BUCKET = "bench"


@contextmanager
def seaweed(root: Path) -> Iterator[ObjectStore]:
    """A SeaweedFS with an empty bucket, its files under `root`, which goes with it."""
    with folder(root), stores.seaweed(root) as location:
        yield stores.with_bucket(location, _BUCKET)


@contextmanager
def minio(root: Path) -> Iterator[ObjectStore]:
    """A MinIO with an empty bucket, its files under `root`, which goes with it."""
    with folder(root), stores.minio(root) as location:
        yield stores.with_bucket(location, _BUCKET)


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
    log.unlink(missing_ok=True)  # its first line is the address, and one before it may have had another
    with process([sys.executable, "-m", "bench.servers", str(content)], log):
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            lines = log.read_text().splitlines()
            if lines:
                url, commit = lines[0].split()
                yield url, commit
                return
            time.sleep(0.1)
        raise TimeoutError(f"the hub did not start: see {log}")


def _serve_hub(content: Path) -> None:
    from slipway.stack.standin_hub import Repository, StandinHub

    repository = Repository(REPOSITORY_ID)
    commit = repository.commit_directory(content)
    with StandinHub([repository]) as served:
        print(served.url, commit.id, flush=True)
        time.sleep(86_400)


if __name__ == "__main__":
    _serve_hub(Path(sys.argv[1]))
