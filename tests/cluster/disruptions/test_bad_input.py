"""Promise: whatever goes wrong with a rollout, one message says why and what to do, and the old one serves.

All cases of cases.py happen at the same time, each in a namespace of its own, because each mostly waits.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from testbed.cluster import namespaces
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Objects, client

from .cases import CASES, Case
from .site import Asked, Site, asking

_AT_A_TIME = 12


@dataclass(frozen=True)
class Outcome:
    """What a case ended in, and how the first revision fared."""

    message: str
    first: str
    serving: frozenset[str]
    asked: Asked


@pytest.fixture(scope="module")
def outcomes(
    cluster: Running, objects: Objects, make_namespace: Callable[..., str], pod_store: ObjectStore
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """The cases, under way."""
    revisions = RevisionStore(pod_store)

    def site(name: str) -> Site:
        api = client(cluster.kubeconfig)  # of its own: the threads share no connection
        return Site(name, make_namespace(), cluster, api, Objects(api), revisions, CASES[name].fields)

    # What may be the matter of a moment is given half a minute; here it stays as it is.
    with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(_AT_A_TIME) as pool:
        patched.setattr("slipway.runtimes.judging.pod_state.CONFIG_GRACE_S", 3.0)
        patched.setattr("slipway.runtimes.judging.deployments.REPLICA_GRACE_S", 2.0)
        slowest_first = sorted(CASES, key=lambda name: -CASES[name].deadline_s)
        yield {name: pool.submit(lambda name=name: happen(site(name), CASES[name])) for name in slowest_first}
    for name in CASES:
        revisions.forget(name)


def happen(site: Site, case: Case) -> Outcome:
    """One case from its beginning to its end."""
    first = site.begin()
    upstream = site.plane().endpoint(first)
    with asking(upstream) as asked, case.disrupt(site) as changes:
        message = site.message(site.plane(**changes), case.deadline_s)
        serving = frozenset(site.serving())
    namespaces.delete(site.objects, site.namespace)  # now: the other tests need the room
    return Outcome(message, first.spec_digest, serving, asked)


@pytest.mark.parametrize("name", CASES)
def test_a_rollout_ends_in_one_message_with_cause_and_remedy_and_the_old_revision_answers_on(
    name: str, outcomes: Mapping[str, Future[Outcome]]
) -> None:
    found = outcomes[name].result()
    print(found.message)
    assert re.search(CASES[name].cause, found.message, re.DOTALL), found.message
    assert re.search(CASES[name].remedy, found.message, re.DOTALL), found.message
    is_final = CASES[name].deadline_s == Case.deadline_s
    assert not (is_final and "not within" in found.message), "it was told when it was known"
    assert found.serving == {found.first}
    assert (found.asked.failed, found.asked.count > 0) == (0, True)
