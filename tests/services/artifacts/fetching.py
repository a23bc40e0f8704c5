"""A process that fetches weights into a node's cache, says where they are, and goes on living as engines do.

Belongs here: the program, and starting it. Does not: ending it, which a test does in its own way.
"""

import subprocess
import sys
import time
from pathlib import Path

from slipway.artifacts.node.cache import NodeCache
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

_LIFE_S = 60


def start(location: S3Location, prefix: str, directory: Path, max_bytes: int) -> subprocess.Popen[str]:
    """Start it; its first line of output is the directory of the weights."""
    store = [str(value) for value in vars(location).values()]
    command = [sys.executable, __file__, prefix, str(directory), str(max_bytes), *store]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main(prefix: str, directory: str, max_bytes: str, *location: str) -> None:
    """The program; the store's location as its fields in order."""
    cache = NodeCache(ObjectStore(S3Location(*location)), Path(directory), int(max_bytes))
    print(cache.fetch(prefix), flush=True)
    time.sleep(_LIFE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
