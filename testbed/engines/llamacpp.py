"""llama.cpp with the demo's model in a process of its own: `python -m testbed.engines.llamacpp PORT [SLOTS]`.

Belongs here: the smallest real engine, without Slipway around it. Does not: Slipway's own (slipway.engines).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.stack.ports import free_ports
from slipway.stack.standin_hub.demo import demo_model_file
from testbed.server_processes import process, wait_until_answered

_CONTEXT_PER_SLOT = 1024


@contextmanager
def llamacpp(root: Path, *, slots: int = 1) -> Iterator[str]:
    """Its base URL, without `/v1`; it answers so many requests at once, on one thread."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", __name__, str(port), str(slots)]
    log = root / "llamacpp.log"
    with process(command, log) as started:
        url = f"http://127.0.0.1:{port}"
        wait_until_answered(f"{url}/health", log, by=started)
        yield url


def _serve(port: int, slots: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(demo_model_file())
    params.n_ctx = _CONTEXT_PER_SLOT * slots
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port = port
    server = xllamacpp.Server(params)
    while server is not None:
        time.sleep(3600)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
