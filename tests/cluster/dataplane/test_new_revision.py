"""Promises of applying what is not there yet, or not any more.

Belongs here: first calls, and what killed runs leave. Does not: what changes on what serves (test_apply.py).
"""

from collections.abc import Callable

import pytest

from slipway.dataplane.kubernetes.api import errors
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from testbed.cluster.objects import Objects

from .conftest import fake


def test_a_new_revision_costs_no_lists_and_what_a_killed_run_left_of_it_is_completed(
    make_plane: Callable[..., Kubernetes], objects: Objects, namespace: str
) -> None:
    api = KubernetesApi(objects.api)
    plane = make_plane(api)
    wanted = plane.render(fake(replicas=0))
    first, *_ = wanted.rendered["objects"]
    objects.apply([first])  # as a run that was killed after its first call
    plane.apply(wanted)
    assert [call for call in api.calls if call[0] == "list"] == []
    assert plane.diff(wanted).action == "none"


def test_an_object_that_is_ending_is_waited_for_and_made_anew(
    make_plane: Callable[..., Kubernetes], objects: Objects, namespace: str
) -> None:
    plane = make_plane(gone_deadline_s=1)
    wanted = plane.render(fake(replicas=0))
    service = next(each for each in wanted.rendered["objects"] if each["kind"] == "Service")
    held = {**service, "metadata": {**service["metadata"], "finalizers": ["example.com/never"]}}
    (ending,) = objects.apply([held])
    objects.delete("v1", "Service", wanted.application, namespace)
    with pytest.raises(errors.StuckDeletionError, match=r"Service chat-\w+.*example\.com/never"):
        plane.apply(wanted)
    objects.apply([service])
    plane.apply(wanted)
    made = objects.get("v1", "Service", wanted.application, namespace)
    assert made is not None
    assert made["metadata"]["uid"] != ending["metadata"]["uid"]
    assert "deletionTimestamp" not in made["metadata"]
