"""What the demo does, step by step; each step leaves facts in the record and checks nothing.

Belongs here: the order of events and how each is brought about through public faces.
Does not: judging (claims.py), counting and showing (summary.py, report.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slipway.environment import Environment
from slipway.records.revisions import RevisionStore
from slipway.stack.demo import edits
from slipway.stack.demo.dagster_api import Run
from slipway.stack.demo.stage import DEPLOY_TIMEOUT_S, Stage, Told
from slipway.stack.demo.traffic import QUESTIONS, Client, Seen, steady_flow, until

CHAT, ADAPTER, ASSISTANT = "chat", "smollm2-formal", "assistant"


@dataclass
class Record(Told):
    """Everything that was seen on the way."""

    unknown_model: Seen | None = None
    first_digests: dict[str, str] = field(default_factory=dict)
    redeploy: Run | None = None
    redeployed_digest: str = ""
    redeploy_flow: list[Seen] = field(default_factory=list)
    rollback: Run | None = None
    bad_digest: str = ""
    serving_digest: str = ""
    rollback_flow: list[Seen] = field(default_factory=list)


class Story(Stage):
    """One run of the demo against a running stack."""

    def __init__(self, environment: Environment, catalog_dir: Path, say: Callable[[str], None]) -> None:
        self.record = Record()
        super().__init__(environment, self.record, say)
        self.catalog_dir = catalog_dir
        self.revisions = RevisionStore(self.store)

    def deploy(self) -> None:
        """Everything in the catalog, by the sensor."""
        self.deploy_all((CHAT, ASSISTANT), "The sensor sees an empty data plane and deploys the catalog")
        self.record.first_digests = self.routed()

    def tenants(self) -> None:
        """The demo's three."""
        self.tenants_of(("acme", "globex", "initech"))

    def traffic(self) -> None:
        """Three tenants: one streams, one meets its limits, one must learn nothing."""
        with self.step("traffic", "Traffic of three tenants with the openai SDK"):
            acme, globex, initech = (self.record.clients[org] for org in ("acme", "globex", "initech"))
            for n, question in enumerate(QUESTIONS * 2):
                self.show(acme.chat(CHAT, question, stream=n % 3 != 2))
            for question in QUESTIONS[:3]:
                self.show(acme.chat(ADAPTER, question, stream=True))
            self.show(acme.complete(CHAT, "Bees make"))
            self._limits(globex)
            self.show(initech.chat(CHAT, "Are you there?", stream=False))
            self.record.unknown_model = initech.chat("no-such-model", "Are you there?", stream=False)

    def _limits(self, globex: Client) -> None:
        """Tokens first: one request asks for more than a minute may have. Then requests, to the limit."""
        for question in QUESTIONS:
            self.show(globex.chat(ASSISTANT, question * 4, stream=True, max_tokens=8))
        self.show(globex.chat(ASSISTANT, QUESTIONS[0], stream=False, max_tokens=2000))
        for n in range(40):
            seen = globex.chat(ASSISTANT, QUESTIONS[n % 2], stream=False, max_tokens=1)
            if seen.status != 200:
                self.show(seen)
                return

    def edit(self) -> None:
        """An engine argument and a price change on disk; requests go on while the sensor redeploys."""
        acme = self.record.clients["acme"]
        with self.step("redeploy", "An edit of the catalog: a longer context, and a new price from now on"):
            known = self.run_ids()
            price_from = edits.new_price(self.catalog_dir, datetime.now(UTC) + timedelta(seconds=2))
            edits.set_args(self.catalog_dir, CHAT, "--ctx-size=2048", "--ctx-size=3072")
            # No request may straddle the new price: its instant lies between two phases of traffic.
            clear = price_from + timedelta(seconds=0.5)
            until(lambda: datetime.now(UTC) > clear, "the new price to be in force", 10, poll_s=0.1)
            with steady_flow(acme, (CHAT, ADAPTER)) as flow:
                run = self.await_sensor_run(known, touching=f"rollout/{CHAT}")
                self.record.redeploy = self.dagster.wait(
                    run.id, timeout_s=DEPLOY_TIMEOUT_S, on_step=self.detail
                )
                self.require_success(self.record.redeploy)
                self.record.redeployed_digest = until(self._changed_digest, "the new revision's route", 30)
                until(lambda: len(flow) > 5, "a few requests", 30)
                time.sleep(2)
            self.record.redeploy_flow = flow
            self._say(f"   {len(flow)} requests meanwhile, {sum(each.status != 200 for each in flow)} failed")

    def bad_edit(self) -> None:
        """An argument that the engine dies of: refused at start, and what serves stays."""
        acme = self.record.clients["acme"]
        with self.step("rollback", "A bad edit: an engine argument that does not exist"):
            known = self.run_ids()
            edits.set_args(self.catalog_dir, CHAT, "--ctx-size=3072", "--no-such-argument=1")
            with steady_flow(acme, (CHAT,)) as flow:
                run = self.await_sensor_run(known, touching=f"rollout/{CHAT}")
                self.record.rollback = self.dagster.wait(
                    run.id, timeout_s=DEPLOY_TIMEOUT_S, on_step=self.detail
                )
            self.record.rollback_flow = flow
            edits.set_args(self.catalog_dir, CHAT, "--no-such-argument=1", "--ctx-size=3072")
            failed = [revision for revision in self.revisions.all(CHAT) if revision.state == "failed"]
            self.record.bad_digest = failed[0].spec_digest if failed else ""
            self.record.serving_digest = self.routed().get(CHAT, "")
            self._say(f"   the run ended {self.record.rollback.status}; {len(flow)} requests meanwhile")

    def _changed_digest(self) -> str:
        digest = self.routed().get(CHAT, "")
        return digest if digest != self.record.first_digests[CHAT] else ""
