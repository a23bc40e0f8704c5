"""What the gateway costs an upload: memory per request, and speed against sending it to the engine directly.

Belongs here: an engine that reads forms as engines do (Starlette) and no more, clients, figures.
Does not: small requests (bench.gateway), streams (bench.streams). `python -m bench.uploads` prints them.
"""

from __future__ import annotations

import os
import secrets
import socket
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, report
from bench.gateway import serving
from slipway.stack.ports import free_ports
from testbed.server_processes import process, wait_until_answered

UPLOAD_BYTES = 25 * 2**20
AT_ONCE = 16
ROUNDS = 20
CALMEST = 3
_MODEL = "heard"
_PATH = "/v1/audio/transcriptions"
_BOUNDARY = b"a" * 32


@dataclass(frozen=True)
class Cost:
    """Of one upload: memory of the gateway at its peak, its speed as a part of the direct one."""

    memory_bytes: float
    speed: float
    speed_model_last: float


@dataclass(frozen=True)
class Target:
    """Where an upload goes."""

    port: int
    secret: str


def measure(rounds: int = ROUNDS) -> Cost:
    """Start everything, send uploads by turns, stop everything. Takes about 20 s."""
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        upstream, port = free_ports(2)
        log = root / "upstream.log"
        served = [sys.executable, "-m", "bench.uploads", "upstream", str(upstream)]
        started = running.enter_context(process(served, log))
        wait_until_answered(f"http://127.0.0.1:{upstream}/", log, by=started)
        secret, gateway = running.enter_context(
            serving(root, port, {_MODEL: upstream}, task="speech-to-text")
        )
        engine, through = Target(upstream, ""), Target(port, secret)
        file = secrets.token_bytes(UPLOAD_BYTES)
        first, last = _form(file, model_first=True), _form(file, model_first=False)
        times: dict[str, list[float]] = {"direct": [], "through": [], "last": []}
        for _ in range(rounds):
            times["direct"].append(_upload(engine, first))
            times["through"].append(_upload(through, first))
            times["last"].append(_upload(through, last))
        # What else runs on the machine slows three processes more than two: the calmest tell what is spent.
        direct, passed, held = (statistics.fmean(sorted(found)[:CALMEST]) for found in times.values())
        return Cost(_peak_bytes(gateway.pid, through, first) / AT_ONCE, direct / passed, direct / held)


def figures(cost: Cost) -> list[Figure]:
    """With what they should be."""
    return [
        Figure("upload_memory_per_request", cost.memory_bytes / 2**20, 2, "MiB"),
        Figure("upload_speed_of_direct", cost.speed, 0.8, "", bound="least"),
        # The file is held until its model is known, and then sent: the time of two, one after the other.
        Figure("upload_speed_of_direct_model_last", cost.speed_model_last, 0.35, "", bound="least"),
    ]


def _form(file: bytes, *, model_first: bool) -> bytes:
    model = b'--%s\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n' % (
        _BOUNDARY,
        _MODEL.encode(),
    )
    sound = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%s\r\n'
    parts = [model, sound % (_BOUNDARY, file)]
    return b"".join(parts if model_first else reversed(parts)) + b"--%s--\r\n" % _BOUNDARY


def _upload(target: Target, body: bytes, together: threading.Barrier | None = None) -> float:
    """Seconds from the first byte that is sent to the answer."""
    with socket.create_connection(("127.0.0.1", target.port)) as client:
        head = (
            f"POST {_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.secret}\r\n"
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY.decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        if together is not None:
            together.wait()
        began = time.perf_counter()
        client.sendall(head.encode())
        client.sendall(body)
        answer = client.recv(65_536)
        took = time.perf_counter() - began
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"an upload failed: {answer[:300]!r}")
    return took


def _peak_bytes(pid: int, target: Target, body: bytes) -> int:
    """What a process's memory grows by while uploads go through it at once."""
    before = 0
    for _ in range(2):  # what the first ones need once is not of a request
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # from now on its peak
        before = before or _memory_bytes(pid, "VmRSS")
        together = threading.Barrier(AT_ONCE)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for sent in [pool.submit(_upload, target, body, together) for _ in range(AT_ONCE)]:
                sent.result()
    return _memory_bytes(pid, "VmHWM") - before


def _memory_bytes(pid: int, kind: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{kind}:"))


def _serve_upstream(port: int) -> None:
    """An engine that reads a form as vLLM does, and has heard nothing in it."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.datastructures import UploadFile
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def hear(request: Request) -> Response:
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            size_bytes = len(await file.read())
        return JSONResponse({"text": "", "usage": {"type": "duration", "seconds": size_bytes // 32_000}})

    async def ready(_: Request) -> Response:
        return Response()

    routes = [Route(_PATH, hear, methods=["POST"]), Route("/", ready)]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")


def main() -> int:
    """Measure and print; or be the upstream."""
    if sys.argv[1:2] == ["upstream"]:
        _serve_upstream(int(sys.argv[2]))
        return 0
    return report(figures(measure(int(os.environ.get("SLIPWAY_BENCH_ROUNDS") or ROUNDS))))


if __name__ == "__main__":
    sys.exit(main())
