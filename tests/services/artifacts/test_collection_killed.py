"""A collector killed at any moment: what is published is whole, and the next run ends what it began."""

import json
import random
import subprocess
import sys
import time
from typing import Any

import pytest

from slipway.artifacts.weights.claims import MARKS, Terms
from slipway.artifacts.weights.collection import collect
from slipway.artifacts.weights.manifest import Manifest
from slipway.control.held_weights import hold_weights
from slipway.objectstore import ObjectStore

from .keeping import FILES, catalog_of, commit, deployment, is_whole, keys, publish

# A mark is soon that of a dead collector: each of these tests has but one that lives.
QUICK = Terms(act_s=30, mark_s=2, poll_s=0.02)


class KilledError(BaseException):
    """Stands for kill -9: whoever catches it can do nothing any more either."""


class MortalStore(ObjectStore):
    """The store as a collector sees it that dies before its n-th writing call."""

    def __init__(self, store: ObjectStore, calls: int) -> None:
        super().__init__(store.location)
        self.calls = calls

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str:
        self._live()
        return super().put(key, body, content_type=content_type)

    def delete(self, key: str) -> None:
        self._live()
        super().delete(key)

    def _live(self) -> None:
        self.calls -= 1
        if self.calls < 0:
            raise KilledError


# mark, manifest, files, note, mark
WRITES = 1 + 1 + len(FILES) + 1 + 1


@pytest.mark.parametrize("calls", range(WRITES))
def test_killed_before_any_of_its_writes_it_leaves_whole_weights_or_none(
    store: ObjectStore, calls: int
) -> None:
    manifest = publish(store, "m", commit(1))
    with pytest.raises(KilledError):
        collect(MortalStore(store, calls), catalog_of(), apply=True, log=print, terms=QUICK)
    left = Manifest.read(store, "m", commit(1))
    assert left is None or is_whole(store, manifest)
    assert (left is None) == (calls >= 2)
    collect(store, catalog_of(), apply=True, log=print, terms=QUICK)
    assert {key for key in keys(store) if not key.startswith(MARKS)} == set()
    if calls == WRITES - 1:  # only once, as it takes the time of a mark's death
        time.sleep(QUICK.mark_s + 0.5)
        collect(store, catalog_of(), apply=True, log=print, terms=QUICK)
        assert keys(store) == set()


def test_a_rollout_does_not_wait_for_a_dead_collector_for_ever(store: ObjectStore) -> None:
    manifest = publish(store, "m", commit(1))
    with pytest.raises(KilledError):
        collect(MortalStore(store, 1), catalog_of(), apply=True, log=print, terms=QUICK)
    hold_weights(store, deployment("chat", "m", commit(1)), print, QUICK)
    assert is_whole(store, manifest)


def test_a_pull_completes_what_a_killed_collector_half_removed(
    pull: Any, tiny: Any, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.artifacts.weights.claims.Terms", lambda: QUICK)
    first = pull(tiny)
    for key in keys(store):
        if key.startswith("leases/"):
            store.delete(key)
    with pytest.raises(KilledError):  # mark, lease of the pull, manifest and two of four files are gone
        collect(MortalStore(store, 4), catalog_of(), apply=True, log=print, terms=QUICK)
    assert Manifest.read(store, "tiny", first.commit) is None
    assert is_whole(store, pull(tiny))


COLLECT = """
import json, sys
from slipway.artifacts.weights.collection import collect
from slipway.catalog import Catalog, Settings
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

catalog = Catalog(settings=Settings(name="default", weights_grace_s=0))
print("collecting", flush=True)
store = ObjectStore(S3Location(**json.loads(sys.argv[1])))
collect(store, catalog, apply=True, log=lambda line: print(line, flush=True))
"""


def test_kill_9_at_random_moments_never_leaves_published_weights_with_a_file_missing(
    store: ObjectStore,
) -> None:
    draw = random.Random(4)
    manifests = [publish(store, f"m{number}", commit(number)) for number in range(40)]
    killed = 0
    for _ in range(3):  # 40 are more than they remove
        with subprocess.Popen(
            [sys.executable, "-c", COLLECT, json.dumps(vars(store.location))], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(draw.randint(1, 5)):  # a line for its start, and one for each that it removed
                process.stdout.readline()
            time.sleep(draw.uniform(0, 0.03))
            process.kill()
            killed += process.wait() == -9
        for manifest in manifests:
            published = Manifest.read(store, manifest.name, manifest.commit)
            assert published is None or is_whole(store, manifest)
    assert killed == 3
    assert any(Manifest.read(store, each.name, each.commit) for each in manifests)
    collect(store, catalog_of(), apply=True, log=print)
    assert {key for key in keys(store) if not key.startswith(MARKS)} == set()
