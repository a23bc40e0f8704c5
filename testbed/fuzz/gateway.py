"""Fuzz a real gateway on loopback: `python -m testbed.fuzz.gateway`.

Belongs here: the gateway's process, rounds of requests, the verdict. Does not: requests (requests.py), what
must hold (judging.py). SLIPWAY_FUZZ_REQUESTS says how many (1,000,000), SLIPWAY_FUZZ_SEED repeats a run:
what is sent and how the engine answers depend on it alone, what happens at once does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from slipway.catalog.deployment import Limit, Limits
from slipway.catalog.fields import Task
from slipway.environment import S3Location
from slipway.records import routes
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways
from testbed.engines.fake_rogue_engine import FakeRogueEngine
from testbed.fuzz import judging, requests
from testbed.fuzz.client import Connection
from testbed.fuzz.judging import Ledger, Standing

_TOKEN = "operator-token"
_CLIENTS = 48
_ROUND = 10_000
_SETTLED_S = 30.0
_SHOWN = 50
_LONGEST = 4_000


@dataclass(slots=True)
class FuzzedGateway:
    """A gateway whose store is away: its routes are the kept copy, its events stay in the spool."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    secret: str
    _read: dict[Path, int] = field(default_factory=dict)

    def standing(self) -> Standing:
        """What it holds now."""
        status = self._status()
        resident = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return Standing(
            int(resident) * os.sysconf("SC_PAGE_SIZE"),
            sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir()),
            sum(status["in_flight"].values()),
            int(status["reserved_tokens"]),
        )

    async def settled(self) -> Standing:
        """The same once nothing is in flight, or after some patience."""
        deadline = time.monotonic() + _SETTLED_S
        while True:
            standing = await asyncio.to_thread(self.standing)
            if (standing.in_flight, standing.reserved_tokens) == (0, 0) or time.monotonic() > deadline:
                return standing
            await asyncio.sleep(0.05)

    def seal(self) -> None:
        """Let it close the files of its spool, as it does when it ships: here, in vain."""
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(self._asked("/-/ship", b""), timeout=60).close()

    def events(self) -> list[dict[str, object]]:
        """The usage events since the last call; whole files that were read are removed."""
        found = []
        segments = sorted((self.home / "gateway" / "spool").glob("*.ndjson"))
        for path in segments:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines = file.readlines()
            self._read[path] = self._read.get(path, 0) + sum(map(len, lines))
            found += [json.loads(line) for line in lines]
        for path in segments[:-1]:
            path.unlink()
        return found

    def faults(self) -> list[str]:
        """What its log calls a fault since the last call; the log is emptied."""
        log = self.home / "gateway.log"
        lines = [
            line for line in log.read_text(errors="replace").splitlines() if '"level":"info"' not in line
        ]
        os.truncate(log, 0)
        return [line for line in lines if '"level":"error"' in line]

    def _status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self._asked("/-/status"), timeout=30) as reply:
            status: dict[str, Any] = json.load(reply)
            return status

    def _asked(self, path: str, body: bytes | None = None) -> urllib.request.Request:
        headers = {"authorization": f"Bearer {_TOKEN}"}
        return urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers)


@contextmanager
def gateway(home: Path, engine_url: str) -> Iterator[FuzzedGateway]:
    """A gateway process with the models that requests ask for."""
    port, away = free_ports(2)
    database = TenantsDatabase(f"sqlite:///{home / 'tenants.db'}")
    database.migrate()
    database.sync_orgs({"acme"})
    database.add_user("acme", "ann")
    secret = database.create_key("acme", "ann", "fuzz").secret
    spool = home / "gateway" / "spool"
    spool.mkdir(parents=True)
    (spool / "routes.cached.json").write_bytes(routes.encode(routes.build(_table(engine_url, away))))
    store = S3Location(f"http://127.0.0.1:{away}", "fuzz", "key", "secret", "us-east-1")
    environment = {
        **os.environ,
        **gateways.variables(home, store, _TOKEN, port),
        "SLIPWAY_USAGE_SHIP_S": "36000",
        "SLIPWAY_ROUTES_POLL_S": "36000",
    }
    with (home / "gateway.log").open("ab") as log:
        process = subprocess.Popen(gateways.COMMAND, env=environment, stdout=log, stderr=log)
    try:
        _wait_until_ready(port, secret, process)
        yield FuzzedGateway(home, port, process, secret)
    finally:
        process.kill()
        process.wait()


_POOLING: tuple[Task, ...] = ("embedding", "rerank", "classification")


def _table(engine_url: str, away: int) -> list[routes.Route]:
    upstreams = {
        "open": engine_url,
        "limited": engine_url,
        "small": engine_url,
        "away": f"http://127.0.0.1:{away}/v1",
        **dict.fromkeys(("hears", "hears-limited", "speaks", "speaks-limited"), engine_url),
        "away-hears": f"http://127.0.0.1:{away}/v1",
        **{f"{kind}-{task}": engine_url for kind in ("open", "limited") for task in _POOLING},
    }
    much = Limit(requests_per_minute=10**9, tokens_per_minute=10**12)
    limits = {
        **{name: Limits(org=much, user=much, api_key=much) for name in upstreams if "limited" in name},
        "small": Limits(org=Limit(requests_per_minute=10**9, tokens_per_minute=3_000)),
    }
    return [
        routes.Route(
            model=model,
            deployment=model,
            revision="d" * 64,
            upstreams=(url,),
            upstream_model=f"engine-{model}",
            sharing="all",
            limits=limits.get(model, Limits()),
            timeout_s=0.5,
            task=_task(model),
        )
        for model, url in upstreams.items()
    ]


def _task(model: str) -> Task:
    for task in _POOLING:
        if model.endswith(task):
            return task
    if "hears" in model:
        return "speech-to-text"
    return "text-to-speech" if "speaks" in model else "text-generation"


def _wait_until_ready(port: int, secret: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/open")
    asked.add_header("authorization", f"Bearer {secret}")
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(asked, timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the gateway did not start: see gateway.log")


class Run:
    """Rounds of requests to one gateway, and what was found wrong.

    `filling`: rounds after the first one in which buffers, caches and the allocator's arenas may still fill.
    """

    def __init__(self, seed: int, target: FuzzedGateway, filling: int) -> None:
        self._seed = seed
        self._gateway = target
        self._filling = filling
        self._ledger = Ledger()
        self._first: Standing | None = None
        self._shown = 0
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []

    async def round(self, number: int, size: int) -> Standing:
        """Send so many, wait until all of them have ended, and judge what is left."""
        shares = [size // _CLIENTS + (client < size % _CLIENTS) for client in range(_CLIENTS)]
        async with asyncio.TaskGroup() as group:
            for client, share in enumerate(shares):
                group.create_task(self._client(random.Random(f"{self._seed}/{number}/{client}"), share))
        await asyncio.to_thread(self._gateway.seal)
        standing = await self._gateway.settled()
        found = self._ledger.record(self._gateway.events()) + self._ledger.balance()
        # What is needed once is not growth.
        if self._first is None or number <= self._filling:
            self._first = standing
        found += judging.of_standing(self._first, standing) + self._gateway.faults()
        self.wrong += [f"round {number}: {each}" for each in found]
        self._show()
        return standing

    def _show(self) -> None:
        """Print what is new and wrong, as far as it can be read."""
        for each in self.wrong[self._shown : _SHOWN]:
            print(each[:_LONGEST])
        self._shown = len(self.wrong)

    async def _client(self, rng: random.Random, share: int) -> None:
        connection = Connection(self._gateway.port)
        for _ in range(share):
            sent = requests.request(rng, self._gateway.secret)
            answer = await connection.send(sent)
            self.statuses[answer.status] += 1
            self._ledger.note(answer)
            if (fault := judging.of_answer(sent, answer)) is not None:
                self.wrong.append(f"{fault}: {sent.raw[:2000]!r} -> {answer.body[-500:]!r}")
        connection.close()


async def fuzz(seed: int, number: int, home: Path) -> Run:
    """Send so many requests; prints as it goes."""
    print(f"seed {seed}: {number} requests. The same again: SLIPWAY_FUZZ_SEED={seed}", flush=True)
    began = time.monotonic()
    async with FakeRogueEngine(seed) as engine:
        with gateway(home, engine.url) as target:
            size = min(_ROUND, max(1, number // 2))
            run = Run(seed, target, filling=number // size // 10)
            for at, start in enumerate(range(0, number, size)):
                standing = await run.round(at, min(size, number - start))
                done = min(start + size, number)
                print(
                    f"{done} requests, {done / (time.monotonic() - began):.0f}/s, "
                    f"{engine.answered} answered by the engine, {standing.memory_bytes / 2**20:.0f} MiB, "
                    f"{standing.descriptors} descriptors, {standing.reserved_tokens} tokens reserved, "
                    f"{len(run.wrong)} faults",
                    flush=True,
                )
    return run


def main() -> int:
    """Run as the environment says; 1 where something does not hold."""
    seed = int(os.environ.get("SLIPWAY_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    number = int(os.environ.get("SLIPWAY_FUZZ_REQUESTS") or 1_000_000)
    home = Path(tempfile.mkdtemp(prefix="slipway-fuzz-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            run = runner.run(fuzz(seed, number, home))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(f"answers by status: {dict(sorted(run.statuses.items()))}")
    print(f"{len(run.wrong)} faults in {number} requests of seed {seed}")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
