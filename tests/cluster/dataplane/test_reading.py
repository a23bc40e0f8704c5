"""Promises of `slipway get`, `describe`, `logs`, `diff`, `pause`: a person sees what runs, and holds it."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway.commands.main import cli
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied, RevisionStore
from testbed import stores
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Objects

from .conftest import Log, fake, resolve
from .test_wait import SOON_S, running


@pytest.fixture
def slipway(
    kubeconfig: Path, namespace: str, pod_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """`slipway("get", "deployments")` runs the command on the test's namespace; its output and exit code."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"namespace: {namespace}\n")
    location = pod_store.location
    variables = {
        "SLIPWAY_HOME": str(tmp_path),
        "SLIPWAY_KUBECONFIG": str(kubeconfig),
        "SLIPWAY_KUBE_SETTINGS": str(settings),
        **stores.variables(location),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(cli, words)


@pytest.fixture
def recorded(plane: Kubernetes, rolled_out: Applied, pod_store: ObjectStore) -> Applied:
    """The revision that serves, with its record."""
    resolved = fake(replicas=2)
    upstream = plane.endpoint(rolled_out)
    record = revisions.of(resolved, rolled_out, upstream, revisions.datetime.now(revisions.UTC))
    RevisionStore(pod_store).put(record)
    return rolled_out


def test_a_deployment_is_listed_with_its_base_url_names_and_replicas(slipway: Any, recorded: Applied) -> None:
    found = slipway("get", "deployments").output
    assert f"{recorded.application}  vllm  serving (applied)  2/2  http://{recorded.application}." in found
    assert "1 on kubernetes default" in found


def test_it_is_described_with_spec_model_conditions_and_pods(slipway: Any, recorded: Applied) -> None:
    found = slipway("describe", "chat").output
    for part in (
        recorded.spec_digest,
        "hf://o/m",
        "Available=True",
        f"{recorded.application}-",
        "0 restarts",
    ):
        assert part in found


def test_an_edit_by_hand_is_shown_by_field_and_exits_3(
    slipway: Any, recorded: Applied, objects: Objects, namespace: str
) -> None:
    assert slipway("diff").exit_code == 0
    path = objects.path("apps/v1", "Deployment", namespace, recorded.application)
    scale = objects.call("GET", f"{path}/scale")
    scale["spec"]["replicas"] = 3
    objects.call("PUT", f"{path}/scale", scale, fieldManager="kubectl")
    found = slipway("diff", "chat")
    assert found.exit_code == 3
    assert "spec.replicas: 3 -> 2 (changed by kubectl" in found.output


def test_what_is_not_there_is_said_so(slipway: Any) -> None:
    found = slipway("describe", "nothing")
    assert found.exit_code != 0
    assert "nothing of it is on kubernetes default" in str(found.exception)


def test_logs_are_of_every_container_and_of_the_run_before(
    slipway: Any, plane: Kubernetes, cluster: Running, log: Log
) -> None:
    web = cluster.images["web"].reference
    crashing = running(plane.render(resolve()), web, args=["crash"])
    plane.apply(crashing)
    deadline = time.monotonic() + 30
    while "crashed as it was told to" not in (found := slipway("logs", "chat", "--previous").output):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert f"== {crashing.application}-" in found


def test_a_paused_rollout_stands_still_and_goes_on_when_it_is_resumed(
    slipway: Any, plane: Kubernetes, fake_nodes: list[str], log: Log
) -> None:
    first, second = (
        plane.render(fake(env={"N": each}, rollout={"strategy": "in-place"})) for each in ("1", "2")
    )
    plane.apply(first)
    plane.wait(first, SOON_S, log)
    assert slipway("pause", "chat").exit_code == 0
    plane.apply(second)
    waiting = threading.Thread(target=plane.wait, args=(second, 20, log))
    waiting.start()
    time.sleep(3)
    assert log.lines[-1].state == "paused"
    assert {each.spec_digest for each in plane.status("chat")} == {second.spec_digest}
    assert slipway("resume", "chat").exit_code == 0
    waiting.join(SOON_S)
    assert log.lines[-1].state == "serving"
