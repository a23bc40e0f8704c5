"""Collectors, pulls and rollouts at the same weights at once: a rollout that said yes has its files."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from slipway.artifacts.errors import NotPublishedError
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.weights import claims
from slipway.artifacts.weights.claims import Terms
from slipway.artifacts.weights.collection import collect
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.control import held_weights
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.stack.standin_hub import Repository, StandinHub

from .keeping import catalog_of, deployment, is_whole, publish, revision_of

RACE_S = 4.0
ENOUGH = {"removed": 4, "kept in the last moment": 2, "rolled out": 12}
LONGEST_S = 120.0  # when the machine is busy
HOLD_S = 3.0  # the store's instants are whole seconds
TERMS = Terms(act_s=5, mark_s=20, poll_s=0.01)


@pytest.fixture
def models(hub: StandinHub, tmp_path: Any) -> list[tuple[str, str]]:
    """(name, commit) of small models at the hub."""
    found = []
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        for path in ("config.json", "model.txt", "tokenizer.json"):
            (tmp_path / name / path).write_bytes(f"{name} {path}".encode() * 50)
        repository = Repository(f"org/{name}")
        found.append((name, repository.commit_directory(tmp_path / name).id))
        hub.add(repository)
    return found


class HesitantCollector(ObjectStore):
    """The store as a collector sees it that hesitates, so that others come between."""

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str:
        time.sleep(random.uniform(0, 0.01))
        return super().put(key, body, content_type=content_type)

    def delete(self, key: str) -> None:
        time.sleep(random.uniform(0, 0.08))
        super().delete(key)


class Race:
    """What all threads share: the store, what they counted, and what was wrong."""

    def __init__(self, store: ObjectStore, source: HubSource, models: list[tuple[str, str]]) -> None:
        self._store, self._source, self._models = store, source, models
        self.seen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._began = time.monotonic()

    def collect(self, number: int) -> None:
        """One collection, without grace and with a catalog that names nothing."""
        store = HesitantCollector(self._store.location)
        found = collect(store, catalog_of(), apply=True, log=lambda line: None, terms=TERMS)
        self.seen["removed"] += len(found.removed)
        self.seen["kept in the last moment"] += len(found.unfinished)

    def roll_out(self, number: int) -> None:
        """Perhaps a pull, then a rollout that is recorded, serves for a moment, and is forgotten."""
        store, draw = ObjectStore(self._store.location), random.Random(f"{number} {time.monotonic_ns()}")
        name, commit = self._choose(store, draw)
        spec = deployment(f"chat-{number}", name, commit, rollout={"deadline_s": 0.001})
        if draw.random() < 0.5:
            request = WeightsRequest(name=name, source=f"hf://org/{name}@{commit}")
            self._see(store, pull_weights(request, store, self._source, lambda look: None), "its pull")
        try:
            held_weights.hold_weights(store, spec, print, TERMS)
        except NotPublishedError:
            self.seen["not there"] += 1
            return
        records = RevisionStore(store)
        records.put(revision_of(spec))
        self.seen["rolled out"] += 1
        until = time.monotonic() + draw.choice((0.3, 0.3, 0.3, HOLD_S + 1))  # the longest outlasts its lease
        while time.monotonic() < until:
            self._see(store, Manifest.read(store, name, commit), f"chat-{number} that serves it")
            time.sleep(0.05)
        records.forget(f"chat-{number}")

    def run(self, turn: Callable[[int], None], number: int) -> None:
        """Turn after turn until the end; a failure is the test's."""
        while self._goes_on():
            try:
                turn(number)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
                self.wrong.append(repr(error))

    def _goes_on(self) -> bool:
        ran_s = time.monotonic() - self._began
        enough = all(self.seen[what] >= least for what, least in ENOUGH.items())
        return not self.wrong and ran_s < (RACE_S if enough else LONGEST_S)

    def _see(self, store: ObjectStore, manifest: Manifest | None, who: str) -> None:
        if manifest is None or not is_whole(store, manifest):
            self.wrong.append(f"files are missing for {who}: {manifest}")

    def _choose(self, store: ObjectStore, draw: random.Random) -> tuple[str, str]:
        """One that a collector has just marked, if any; else now and then another one."""
        while self._goes_on():
            marked = [item.key.split("/")[2:4] for item in store.list(claims.MARKS)]
            if marked:
                name, commit = draw.choice(marked)
                return name, commit
            if draw.random() < 0.05:
                break
            time.sleep(0.02)
        return draw.choice(self._models)


def test_nothing_that_a_started_rollout_names_is_ever_removed(
    store: ObjectStore, source: HubSource, models: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are short here, so that the same weights are removed and brought back many times."""
    monkeypatch.setattr(held_weights, "_MARGIN_S", HOLD_S)
    monkeypatch.setattr(claims, "HOLD_S", HOLD_S)
    race = Race(store, source, models)
    for name, commit in models:
        publish(store, name, commit)
    turns = [(race.collect, number) for number in range(2)] + [(race.roll_out, number) for number in range(4)]
    threads = [threading.Thread(target=race.run, args=turn) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(dict(race.seen))
    assert race.wrong == []
    assert all(race.seen[what] >= least for what, least in ENOUGH.items()), race.seen
