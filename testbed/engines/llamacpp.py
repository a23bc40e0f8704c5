"""llama.cpp with the demo's model as a process: `python -m testbed.engines.llamacpp PORT SLOTS [embeds]`.

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
def llamacpp(root: Path, *, slots: int = 1, embeds: bool = False) -> Iterator[str]:
    """Its base URL, without `/v1`; it answers so many requests at once, on one thread, or embeds."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", __name__, str(port), str(slots), *(["embeds"] if embeds else [])]
    log = root / "llamacpp.log"
    with process(command, log) as started:
        url = f"http://127.0.0.1:{port}"
        wait_until_answered(f"{url}/health", log, by=started)
        yield url


def _serve(port: int, slots: int, *, embeds: bool) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(demo_model_file())
    params.n_ctx = _CONTEXT_PER_SLOT * slots
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port = port
    params.embedding = embeds
    if embeds:
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    while server is not None:
        time.sleep(3600)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), embeds="embeds" in sys.argv[3:])
